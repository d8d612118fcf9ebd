/*
** isa.h - names in the code of one instruction set, which MGRAD_ISA tells. Included
** again where that has changed: the amalgamation does so within one file.
*/
#undef MGRAD_CODE
#undef MGRAD_SHARED

#define MGRAD_CODE_JOIN(name, isa) name##_##isa
#define MGRAD_CODE_EXPAND(name, isa) MGRAD_CODE_JOIN(name, isa)
#ifdef MGRAD_ISA
#define MGRAD_CODE(name) MGRAD_CODE_EXPAND(name, MGRAD_ISA)
#else
#define MGRAD_CODE(name) name
#endif

/* What needs no wider vectors than those of another set is taken from there. */
#ifdef MGRAD_NARROWER
#define MGRAD_SHARED(name) MGRAD_CODE_EXPAND(name, MGRAD_NARROWER)
#else
#define MGRAD_SHARED(name) MGRAD_CODE(name)
#endif
