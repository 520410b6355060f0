/* SPDX-License-Identifier: MIT */
/* Proofs of a secret that do not tell it: SipHash-2-4 with a result of 128 bits. */
#ifndef DMABUF_SRC_HOME_MAC_H
#define DMABUF_SRC_HOME_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAC_SIZE 16

void mac_make(uint8_t mac[MAC_SIZE], const uint8_t key[MAC_SIZE], const void *bytes, size_t length);

/* Takes the same time whatever differs. */
bool mac_equal(const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE]);

#endif
