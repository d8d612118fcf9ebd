/*
** class.h - layers' own tables, shared by layer.c and class.c.
*/
#ifndef LMGRAD_CLASS_H
#define LMGRAD_CLASS_H

#include "args.h"

/* Their addresses are keys in a layer's table: of its class, of what it was made by, and of
** the function that it calls. */
extern const char lmgrad_class, lmgrad_made_by, lmgrad_forward;

/* Sets the box at the top up: an own table, findable by its layer. */
void lmgrad_adopt(lua_State *L, mgrad_layer *l);

/* layer[key]; upvalue 2: the methods */
int lmgrad_layer_index(lua_State *L);
/* self.name = value in a class: layers and tensors become its parts; upvalue 2 too */
int lmgrad_layer_newindex(lua_State *L);
/* clone() -> the copy */
int lmgrad_layer_clone(lua_State *L);

#endif
