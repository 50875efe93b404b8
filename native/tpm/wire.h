// TPM wire format to and from ESYS structures, one pair of functions per structure, generated over libtss2-mu.
#pragma once
#include "tss.h"
#include <tss2/tss2_mu.h>

// take_X: the whole buffer is one X. give_X: appends one X to the answer.
#define TSS_TAKE(name, type)                                                                        \
  static inline TSS2_RC take_##name(const struct tss_bytes *from, type *to) {                        \
    size_t offset = 0;                                                                               \
    TSS2_RC rc = Tss2_MU_##type##_Unmarshal(from->data, from->length, &offset, to);                  \
    if (!rc && offset != from->length) rc = TSS2_ESYS_RC_BAD_SIZE;                                   \
    return rc ? TSS2_ESYS_RC_BAD_VALUE : TSS2_RC_SUCCESS;                                            \
  }
#define TSS_GIVE(name, type)                                                                        \
  static inline TSS2_RC give_##name(struct tss_job *job, const type *from) {                         \
    uint8_t wire[sizeof(type)];                                                                      \
    size_t offset = 0;                                                                               \
    TSS2_RC rc = Tss2_MU_##type##_Marshal(from, wire, sizeof wire, &offset);                         \
    return rc ? rc : tss_give_bytes(job, wire, offset);                                              \
  }
// take_X for a plain byte string that ESYS wants as a TPM2B.
#define TSS_TAKE_BYTES(name, type, field)                                                           \
  static inline TSS2_RC take_##name(const struct tss_bytes *from, type *to) {                        \
    if (from->length > sizeof to->field) return TSS2_ESYS_RC_BAD_SIZE;                               \
    to->size = (UINT16)from->length;                                                                 \
    if (from->length) __builtin_memcpy(to->field, from->data, from->length);                         \
    return TSS2_RC_SUCCESS;                                                                          \
  }
