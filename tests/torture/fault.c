/*
** fault.c - preloaded into a process (LD_PRELOAD), lets its calls for files fail.
** unlink("//fault:N:CODE") arms it: the N-th call from then on fails with errno CODE; all
** calls from there on where N is below 0. Codes of its own: 0 reads or writes a part only,
** 200 writes nothing, 201 and 202 let lstat see another file (of the same, of another
** device), as if somebody had just put it there. unlink("//fault") disarms it and returns -1
** with errno = the calls made since.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART, NOTHING = 200, OTHER_FILE, OTHER_DEVICE };

static int armed, calls, at, code;

/* Is it this call's turn? */
static int turn(void) {
  calls += armed;
  if (!armed || (at > 0 ? calls != at : calls < -at)) return 0;
  errno = code;
  return 1;
}

static int bad(int now) { return now && code > PART && code < NOTHING; }
static int fails(void) { return bad(turn()); }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAULT(name, parameters, arguments)                        \
  int name parameters {                                           \
    if (fails()) return -1;                                       \
    return REAL(name) arguments;                                  \
  }

FAULT(fsync, (int fd), (fd))
FAULT(rename, (const char *from, const char *to), (from, to))
FAULT(fchmod, (int fd, mode_t mode), (fd, mode))
FAULT(fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
FAULT(access, (const char *path, int mode), (path, mode))
FAULT(flock, (int fd, int operation), (fd, operation))
FAULT(fstat, (int fd, struct stat *s), (fd, s))
FAULT(stat, (const char *path, struct stat *s), (path, s))

int lstat(const char *path, struct stat *s) {
  int now = turn();
  if (bad(now)) return -1;
  int status = REAL(lstat)(path, s);
  if (now && code == OTHER_FILE) s->st_ino++;
  if (now && code == OTHER_DEVICE) s->st_dev++;
  return status;
}

int open(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (fails()) return -1;
  return REAL(open)(path, flags, mode);
}

/* The descriptor is gone in any case. */
int close(int fd) {
  int failed = fails(), status = REAL(close)(fd);
  if (!failed) return status;
  errno = code;
  return -1;
}

static size_t part(size_t n) { return code == PART ? n / 3 + 1 : n; }

ssize_t read(int fd, void *to, size_t n) {
  int now = turn();
  if (bad(now)) return -1;
  return REAL(read)(fd, to, now ? part(n) : n);
}

ssize_t write(int fd, const void *from, size_t n) {
  int now = turn();
  if (bad(now)) return -1;
  if (now && code == NOTHING) return 0;
  return REAL(write)(fd, from, now ? part(n) : n);
}

char *realpath(const char *path, char *to) {
  if (fails()) return NULL;
  return REAL(realpath)(path, to);
}

int unlink(const char *path) {
  if (strncmp(path, "//fault", 7) != 0) {
    if (fails()) return -1;
    return REAL(unlink)(path);
  }
  armed = path[7] == ':';
  if (!armed) {
    errno = calls;
    return -1;
  }
  calls = 0;
  at = atoi(path + 8);
  code = atoi(strrchr(path, ':') + 1);
  return 0;
}
