/*
** gunzip.h - unpacks one gzip member (RFC 1952) held in memory, or bare deflated data.
*/
#ifndef LMGRAD_GUNZIP_H
#define LMGRAD_GUNZIP_H

#include <stddef.h>

/* Both return NULL when all is well, else what is wrong. *size is how many
** bytes the data unpack to, as their last four bytes say. */
const char *lmgrad_gunzip_size(const unsigned char *data, size_t length, size_t *size);
const char *lmgrad_gunzip(const unsigned char *data, size_t length, unsigned char *to,
                          size_t size);

/* Deflated data without a header; 0 unless they unpack to exactly so many bytes. */
int lmgrad_inflate(const unsigned char *data, size_t length, unsigned char *to, size_t size);

#endif
