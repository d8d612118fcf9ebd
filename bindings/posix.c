/*
** posix.c - files by the calls of POSIX, as the functions that files.lua works with.
** Each gives nil, a message and errno's number when it fails; none gives up on EINTR or
** after a part.
*/
#define _XOPEN_SOURCE 700 /* realpath */
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

enum { PIECE = 1 << 16 }; /* most bytes that one read gives */

static const char HANDLE[] = "moongrad.file";

/* ---- handles: userdata with a descriptor, -1 when closed ---- */

static int failed(lua_State *L) {
  int code = errno;
  char text[128] = "";
  if (strerror_r(code, text, sizeof text) != 0) text[0] = '\0';
  lua_pushnil(L);
  lua_pushstring(L, text);
  lua_pushinteger(L, code);
  return 3;
}

static int *check_handle(lua_State *L) {
  int *fd = luaL_checkudata(L, 1, HANDLE);
  if (*fd < 0) luaL_error(L, "file is closed");
  return fd;
}

static int done(lua_State *L) {
  lua_pushboolean(L, 1);
  return 1;
}

static int file_gc(lua_State *L) {
  int *fd = luaL_checkudata(L, 1, HANDLE);
  if (*fd >= 0) close(*fd);
  *fd = -1;
  return 0;
}

/* close(handle); Linux lets the descriptor go even where it says EINTR */
static int file_close(lua_State *L) {
  int *fd = check_handle(L), status = close(*fd);
  *fd = -1;
  return status == 0 || errno == EINTR ? done(L) : failed(L);
}

/* ---- opening ---- */

static int open_again(const char *path, int flags, mode_t mode) {
  int fd;
  do fd = open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

/* Is it locked by somebody else? Where there are no locks nobody is. */
static int taken(int fd) {
  int status;
  do status = flock(fd, LOCK_EX | LOCK_NB);
  while (status != 0 && errno == EINTR);
  return status != 0 && errno == EWOULDBLOCK;
}

/* Does the path still lead to the open file? */
static int same(int fd, const char *path) {
  struct stat a, b;
  return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

/* A new file that only this process writes to; what a dead one has left is taken away. */
static int create(const char *path) {
  for (int tries = 0; tries < 16; tries++) {
    int fd = open_again(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
    if (fd >= 0) {
      if (!taken(fd) && same(fd, path)) return fd;
      close(fd); /* somebody took it for a leftover */
      continue;
    }
    if (errno != EEXIST) return -1;
    fd = open_again(path, O_WRONLY | O_NOFOLLOW, 0);
    if (fd < 0 && errno != ENOENT) return -1;
    if (fd < 0) continue;
    int busy = taken(fd);
    if (!busy && same(fd, path)) unlink(path);
    close(fd);
    if (busy) break;
  }
  errno = EBUSY;
  return -1;
}

/* May the file at the path be replaced, if there is one? Its owner and permissions go over
** to the new one. */
static int take_after(int fd, const char *path) {
  struct stat s;
  if (stat(path, &s) != 0) return errno == ENOENT ? 0 : -1;
  if (!S_ISREG(s.st_mode)) {
    errno = S_ISDIR(s.st_mode) ? EISDIR : EINVAL;
    return -1;
  }
  if (access(path, W_OK) != 0) return -1;
  if (fchown(fd, s.st_uid, s.st_gid) != 0 && errno != EPERM) return -1;
  return fchmod(fd, s.st_mode & 07777);
}

/* open(path, "r"), or open(path, "w", target): a new file that is to replace target */
static int file_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *mode = luaL_checkstring(L, 2);
  const char *target = luaL_optstring(L, 3, path);
  int *fd = lua_newuserdata(L, sizeof *fd);
  *fd = -1;
  luaL_getmetatable(L, HANDLE);
  lua_setmetatable(L, -2);
  if (mode[0] != 'w') {
    *fd = open_again(path, O_RDONLY | O_NONBLOCK, 0); /* a pipe must not keep us */
    return *fd >= 0 ? 1 : failed(L);
  }
  *fd = create(path);
  if (*fd < 0) return failed(L);
  if (take_after(*fd, target) == 0) return 1;
  int results = failed(L);
  close(*fd);
  *fd = -1;
  unlink(path);
  return results;
}

/* ---- reading and writing ---- */

static int file_size(lua_State *L) {
  struct stat s;
  if (fstat(*check_handle(L), &s) != 0) return failed(L);
  if (!S_ISREG(s.st_mode)) {
    errno = S_ISDIR(s.st_mode) ? EISDIR : EINVAL;
    return failed(L);
  }
  lua_pushnumber(L, (lua_Number)s.st_size);
  return 1;
}

/* read(handle, n) -> at most n bytes, "" at the end */
static int file_read(lua_State *L) {
  int fd = *check_handle(L);
  char bytes[PIECE];
  lua_Number n = luaL_checknumber(L, 2);
  ssize_t got;
  do got = read(fd, bytes, n < 0 ? 0 : n < PIECE ? (size_t)n : PIECE);
  while (got < 0 && errno == EINTR);
  if (got < 0) return failed(L);
  lua_pushlstring(L, bytes, (size_t)got);
  return 1;
}

/* write(handle, bytes) -> true when all are written */
static int file_write(lua_State *L) {
  int fd = *check_handle(L);
  size_t left;
  const char *bytes = luaL_checklstring(L, 2, &left);
  while (left > 0) {
    ssize_t n = write(fd, bytes, left);
    if (n == 0) errno = EIO;
    if (n == 0 || (n < 0 && errno != EINTR)) return failed(L);
    if (n < 0) continue;
    bytes += n;
    left -= (size_t)n;
  }
  return done(L);
}

static int sync_all(int fd) {
  int status;
  do status = fsync(fd);
  while (status != 0 && errno == EINTR);
  return status;
}

static int file_sync(lua_State *L) {
  return sync_all(*check_handle(L)) == 0 ? done(L) : failed(L);
}

/* ---- names ---- */

/* sync_folder(path): what was renamed in the folder of the path is there to stay. Folders
** that may not be read, and file systems that know no such thing, are let pass. */
static int file_sync_folder(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *slash = strrchr(path, '/');
  size_t n = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
  lua_pushlstring(L, n > 0 ? path : ".", n > 0 ? n : 1);
  int fd = open_again(lua_tostring(L, -1), O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) return errno == EACCES ? done(L) : failed(L);
  int status = sync_all(fd), code = errno;
  close(fd);
  errno = code;
  return status == 0 || code == EINVAL || code == ENOTSUP ? done(L) : failed(L);
}

static int file_rename(lua_State *L) {
  return rename(luaL_checkstring(L, 1), luaL_checkstring(L, 2)) == 0 ? done(L) : failed(L);
}

static int file_remove(lua_State *L) {
  return unlink(luaL_checkstring(L, 1)) == 0 ? done(L) : failed(L);
}

/* resolve(path) -> where symbolic links lead, or the path where there is nothing yet */
static int file_resolve(lua_State *L) {
  char to[PATH_MAX];
  const char *path = luaL_checkstring(L, 1), *real = realpath(path, to);
  if (real == NULL && errno != ENOENT) return failed(L);
  lua_pushstring(L, real != NULL ? real : path);
  return 1;
}

void lmgrad_push_files(lua_State *L) {
  static const luaL_Reg list[] = {
    { "open", file_open }, { "size", file_size }, { "read", file_read },
    { "write", file_write }, { "sync", file_sync }, { "close", file_close },
    { "rename", file_rename }, { "remove", file_remove },
    { "sync_folder", file_sync_folder }, { "resolve", file_resolve }, { NULL, NULL }
  };
  if (luaL_newmetatable(L, HANDLE)) {
    lua_pushcfunction(L, file_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
  }
  lua_pop(L, 1);
  lua_newtable(L);
  for (const luaL_Reg *f = list; f->name != NULL; f++) {
    lua_pushcfunction(L, f->func);
    lua_setfield(L, -2, f->name);
  }
}
