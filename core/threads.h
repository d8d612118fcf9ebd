/*
** threads.h - threads, locks, and bells that sleepers wait for: those of POSIX, or of
** Windows; the one file to add to elsewhere. Include it first.
*/
#ifndef MGRAD_THREADS_H
#define MGRAD_THREADS_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <stdbool.h>
#include <stddef.h>

#ifndef _WIN32
  #include <pthread.h>
  #include <signal.h>
  #include <unistd.h>

#define MGRAD_THREAD void * /* what its function returns, 0 */
typedef void *mgrad_thread_fn(void *ud);
typedef pthread_t mgrad_thread;
typedef pthread_mutex_t mgrad_lock;
typedef pthread_cond_t mgrad_bell;

#define mgrad_lock_begin(l) pthread_mutex_init(l, NULL)
#define mgrad_lock_end(l) pthread_mutex_destroy(l)
#define mgrad_lock_take(l) pthread_mutex_lock(l)
#define mgrad_lock_leave(l) pthread_mutex_unlock(l)
#define mgrad_bell_begin(b) pthread_cond_init(b, NULL)
#define mgrad_bell_end(b) pthread_cond_destroy(b)
#define mgrad_bell_wait(b, l) pthread_cond_wait(b, l)
#define mgrad_bell_ring(b) pthread_cond_signal(b)
#define mgrad_bell_ring_all(b) pthread_cond_broadcast(b)
#define mgrad_process() getpid() /* another one after a fork */

/* It takes no signals: those are the host's. False where the system gives none. */
static inline bool mgrad_thread_begin(mgrad_thread *t, size_t stack, mgrad_thread_fn *f,
                                      void *ud) {
  sigset_t all, before;
  pthread_attr_t attr;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, stack);
  int failed = pthread_create(t, &attr, f, ud);
  pthread_attr_destroy(&attr);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return !failed;
}

static inline void mgrad_thread_join(mgrad_thread t) { pthread_join(t, NULL); }

#else

#define MGRAD_THREAD unsigned long __stdcall
typedef unsigned long __stdcall mgrad_thread_fn(void *ud);
typedef void *mgrad_thread;
typedef struct mgrad_lock { void *srw; } mgrad_lock;
typedef struct mgrad_bell { void *condition; } mgrad_bell;

/* Of kernel32. Their header has names that ours are as well, and is not wanted for eight. */
#define MGRAD_SYSTEM(type) __declspec(dllimport) type __stdcall
MGRAD_SYSTEM(void) AcquireSRWLockExclusive(mgrad_lock *);
MGRAD_SYSTEM(void) ReleaseSRWLockExclusive(mgrad_lock *);
MGRAD_SYSTEM(int) SleepConditionVariableSRW(mgrad_bell *, mgrad_lock *, unsigned long,
                                            unsigned long);
MGRAD_SYSTEM(void) WakeConditionVariable(mgrad_bell *);
MGRAD_SYSTEM(void) WakeAllConditionVariable(mgrad_bell *);
MGRAD_SYSTEM(void *) CreateThread(void *, size_t, mgrad_thread_fn *, void *, unsigned long,
                                  unsigned long *);
MGRAD_SYSTEM(unsigned long) WaitForSingleObject(void *, unsigned long);
MGRAD_SYSTEM(int) CloseHandle(void *);

#define MGRAD_FOREVER 0xffffffffUL
#define mgrad_lock_begin(l) ((l)->srw = NULL)
#define mgrad_lock_end(l) ((void)(l))
#define mgrad_lock_take(l) AcquireSRWLockExclusive(l)
#define mgrad_lock_leave(l) ReleaseSRWLockExclusive(l)
#define mgrad_bell_begin(b) ((b)->condition = NULL)
#define mgrad_bell_end(b) ((void)(b))
#define mgrad_bell_wait(b, l) SleepConditionVariableSRW(b, l, MGRAD_FOREVER, 0)
#define mgrad_bell_ring(b) WakeConditionVariable(b)
#define mgrad_bell_ring_all(b) WakeAllConditionVariable(b)
#define mgrad_process() 1 /* nothing forks */

static inline bool mgrad_thread_begin(mgrad_thread *t, size_t stack, mgrad_thread_fn *f,
                                      void *ud) {
  *t = CreateThread(NULL, stack, f, ud, 0x10000 /* that much in all */, NULL);
  return *t != NULL;
}

static inline void mgrad_thread_join(mgrad_thread t) {
  WaitForSingleObject(t, MGRAD_FOREVER);
  CloseHandle(t);
}

#endif
#endif
