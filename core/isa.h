/*
** isa.h - names in the code of one instruction set, which MGRAD_ISA tells. Included
** again where that has changed: the amalgamation does so within one file.
*/
#undef MGRAD_CODE
#undef MGRAD_SHARED
#undef MGRAD_ATTRS

#define MGRAD_CODE_JOIN(name, isa) name##_##isa
#define MGRAD_CODE_EXPAND(name, isa) MGRAD_CODE_JOIN(name, isa)
#ifdef MGRAD_ISA
#define MGRAD_CODE(name) MGRAD_CODE_EXPAND(name, MGRAD_ISA)
#else
#define MGRAD_CODE(name) name
#endif

/* The options of a descriptor, at most MGRAD_MAX_ATTRS: told once, by the baseline. */
#ifdef MGRAD_ISA
#define MGRAD_ATTRS(...) .attrs = NULL
#else
#define MGRAD_ATTRS(...)                                                          \
  .attrs = (const mgrad_attr_spec[]){ __VA_ARGS__, { .type = MGRAD_ATTR_NONE } }
#endif

/* What needs no wider vectors than those of another set is taken from there. */
#ifdef MGRAD_NARROWER
#define MGRAD_SHARED(name) MGRAD_CODE_EXPAND(name, MGRAD_NARROWER)
#else
#define MGRAD_SHARED(name) MGRAD_CODE(name)
#endif
