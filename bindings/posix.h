/*
** posix.h - part of moongrad.system: the functions that files.lua works with.
*/
#ifndef LMGRAD_POSIX_H
#define LMGRAD_POSIX_H

#include "compat.h"

/* Pushes a table of them. */
void lmgrad_push_files(lua_State *L);

#endif
