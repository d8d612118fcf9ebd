/*
** class.h - layers' own tables, shared by layer.c and class.c.
*/
#ifndef LMGRAD_CLASS_H
#define LMGRAD_CLASS_H

#include "args.h"

extern const char lmgrad_class; /* its address is the key of a layer's class */

/* Sets the box at the top up: an own table, findable by its layer. */
void lmgrad_adopt(lua_State *L, mgrad_layer *l);

/* layer[key]; upvalue 2: the methods */
int lmgrad_layer_index(lua_State *L);
/* self.name = value in a class: layers and tensors become its parts; upvalue 2 too */
int lmgrad_layer_newindex(lua_State *L);
/* clone() -> the copy */
int lmgrad_layer_clone(lua_State *L);

#endif
