/*
** crc.h - the checksum of gzip, zip and of our own files.
*/
#ifndef LMGRAD_CRC_H
#define LMGRAD_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The CRC-32 of what 'crc' was of (0 for nothing) followed by n bytes. */
uint32_t lmgrad_crc32(uint32_t crc, const unsigned char *p, size_t n);

#endif
