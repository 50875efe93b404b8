// The Montgomery ladder of RFC 7748 in eight lanes. All lanes have the same secret, so that each of its bits exchanges the points of all or of none.
#include "x25519_lanes.h"
#include <string.h>

#if defined(__x86_64__) && !defined(FP256BN_PORTABLE)
#include "numbers/lanes.h"
#include <openssl/crypto.h>

enum { LIMBS = 5, LIMB_BITS = 51, INVERSE_TAIL = 5 };
#define LIMB_MASK 0x7ffffffffffffULL
#define A24 121665

// A number modulo 2^255 − 19 in each lane, limbs of 51 bits. Those of all values below are less than 2^51 + 2^14: the instructions multiply what is in
// the lower 52 bits of a limb.
typedef struct { __m512i limb[LIMBS]; } lanes;
typedef union {
  lanes vector;
  uint64_t limb[LIMBS][X25519_LANES];
} lanes_memory;

LANE_FUNCTION __m512i times_19(__m512i x) {
  return _mm512_add_epi64(_mm512_add_epi64(_mm512_slli_epi64(x, 4), _mm512_slli_epi64(x, 1)), x);
}

// Each limb gives what it has beyond 51 bits to the next one, the last one to the first: 2^255 = 19. Limbs are below 2^60 before.
LANE_FUNCTION lanes carry(lanes x) {
  __m512i excess[LIMBS];
  UNROLL for (int i = 0; i < LIMBS; i++) {
    excess[i] = _mm512_srli_epi64(x.limb[i], LIMB_BITS);
    x.limb[i] = _mm512_and_si512(x.limb[i], all_lanes(LIMB_MASK));
  }
  UNROLL for (int i = 1; i < LIMBS; i++) x.limb[i] = _mm512_add_epi64(x.limb[i], excess[i - 1]);
  x.limb[0] = _mm512_add_epi64(x.limb[0], times_19(excess[LIMBS - 1]));
  return x;
}

LANE_FUNCTION lanes add(lanes x, lanes y) {
  UNROLL for (int i = 0; i < LIMBS; i++) x.limb[i] = _mm512_add_epi64(x.limb[i], y.limb[i]);
  return carry(x);
}

// x − y + 2(2^255 − 19)
LANE_FUNCTION lanes subtract(lanes x, lanes y) {
  UNROLL for (int i = 0; i < LIMBS; i++) {
    __m512i twice = all_lanes(2 * LIMB_MASK - (i == 0 ? 36 : 0));
    x.limb[i] = _mm512_add_epi64(_mm512_sub_epi64(x.limb[i], y.limb[i]), twice);
  }
  return carry(x);
}

// A product before reduction: the lower 52 bits of the products of limbs and what is above those, which counts twice in the next limb.
typedef struct { __m512i low[2 * LIMBS], high[2 * LIMBS]; } product;

LANE_FUNCTION product no_product(void) {
  product r;
  UNROLL for (int i = 0; i < 2 * LIMBS; i++) r.low[i] = r.high[i] = _mm512_setzero_si512();
  return r;
}

LANE_FUNCTION product add_product(product sum, int at, __m512i x, __m512i y) {
  sum.low[at] = _mm512_madd52lo_epu64(sum.low[at], x, y);
  sum.high[at + 1] = _mm512_madd52hi_epu64(sum.high[at + 1], x, y);
  return sum;
}

LANE_FUNCTION lanes reduce(product x) {
  lanes r;
  UNROLL for (int i = 0; i < 2 * LIMBS; i++) x.low[i] = _mm512_add_epi64(x.low[i], _mm512_slli_epi64(x.high[i], 1));
  UNROLL for (int i = 0; i < LIMBS; i++) r.limb[i] = _mm512_add_epi64(x.low[i], times_19(x.low[i + LIMBS]));
  return carry(r);
}

LANE_FUNCTION lanes multiply(lanes x, lanes y) {
  product sum = no_product();
  UNROLL for (int i = 0; i < LIMBS; i++) {
    UNROLL for (int j = 0; j < LIMBS; j++) sum = add_product(sum, i + j, x.limb[i], y.limb[j]);
  }
  return reduce(sum);
}

LANE_FUNCTION lanes square(lanes x) {
  product sum = no_product();
  UNROLL for (int i = 0; i < LIMBS; i++) {
    UNROLL for (int j = i + 1; j < LIMBS; j++) sum = add_product(sum, i + j, x.limb[i], x.limb[j]);
  }
  UNROLL for (int i = 0; i < 2 * LIMBS; i++) {
    sum.low[i] = _mm512_slli_epi64(sum.low[i], 1);
    sum.high[i] = _mm512_slli_epi64(sum.high[i], 1);
  }
  UNROLL for (int i = 0; i < LIMBS; i++) sum = add_product(sum, 2 * i, x.limb[i], x.limb[i]);
  return reduce(sum);
}

// x + 121665·y
LANE_FUNCTION lanes add_times_a24(lanes x, lanes y) {
  const __m512i a24 = all_lanes(A24);
  product sum = no_product();
  UNROLL for (int i = 0; i < LIMBS; i++) sum = add_product(sum, i, a24, y.limb[i]);
  UNROLL for (int i = 0; i < LIMBS; i++) sum.low[i] = _mm512_add_epi64(sum.low[i], x.limb[i]);
  return reduce(sum);
}

// Exchanges x and y in all lanes or in none; the mask says in which.
LANE_FUNCTION void exchange(lanes *x, lanes *y, __mmask8 mask) {
  UNROLL for (int i = 0; i < LIMBS; i++) {
    __m512i was = x->limb[i];
    x->limb[i] = _mm512_mask_mov_epi64(was, mask, y->limb[i]);
    y->limb[i] = _mm512_mask_mov_epi64(y->limb[i], mask, was);
  }
}

WITH_LANES static lanes square_times(lanes x, int times) {
  for (int i = 0; i < times; i++) x = square(x);
  return x;
}

// x^(p−2), p − 2 = 2^255 − 21: 250 ones, 01011.
WITH_LANES static lanes invert(lanes x) {
  lanes two = square(x), nine = multiply(square_times(two, 2), x), eleven = multiply(nine, two);
  lanes ones5 = multiply(square(eleven), nine);
  lanes ones10 = multiply(square_times(ones5, 5), ones5);
  lanes ones20 = multiply(square_times(ones10, 10), ones10);
  lanes ones40 = multiply(square_times(ones20, 20), ones20);
  lanes ones50 = multiply(square_times(ones40, 10), ones10);
  lanes ones100 = multiply(square_times(ones50, 50), ones50);
  lanes ones200 = multiply(square_times(ones100, 100), ones100);
  lanes ones250 = multiply(square_times(ones200, 50), ones50);
  return multiply(square_times(ones250, INVERSE_TAIL), eleven);
}

// A point's u is x/z. Of `from` and `to`, whose difference is the peer's share: to = from + to, from = 2·from.
struct ladder {
  lanes x, x_from, z_from, x_to, z_to;
};

WITH_LANES static void step(struct ladder *at) {
  lanes a = add(at->x_from, at->z_from), b = subtract(at->x_from, at->z_from);
  lanes da = multiply(subtract(at->x_to, at->z_to), a), cb = multiply(add(at->x_to, at->z_to), b);
  lanes aa = square(a), bb = square(b), e = subtract(aa, bb);
  at->x_to = square(add(da, cb));
  at->z_to = multiply(at->x, square(subtract(da, cb)));
  at->x_from = multiply(aa, bb);
  at->z_from = multiply(e, add_times_a24(aa, e));
}

WITH_LANES static void climb(lanes *u, const uint8_t secret[X25519_LENGTH]) {
  const lanes zero = {{all_lanes(0), all_lanes(0), all_lanes(0), all_lanes(0), all_lanes(0)}};
  lanes one = zero;
  one.limb[0] = all_lanes(1);
  struct ladder at = {*u, one, zero, *u, one};
  unsigned before = 0;
  for (int i = 254; i >= 0; i--) {
    // The bits that every secret has: the highest one is set, the lowest three are not.
    unsigned bit = i == 254 ? 1 : i < 3 ? 0 : secret[i / 8] >> (i % 8) & 1;
    __mmask8 mask = (__mmask8)-(bit ^ before);
    exchange(&at.x_from, &at.x_to, mask);
    exchange(&at.z_from, &at.z_to, mask);
    before = bit;
    step(&at);
  }
  // The last bit is 0: nothing is left to be exchanged.
  *u = multiply(at.x_from, invert(at.z_from));
  OPENSSL_cleanse(&at, sizeof at);
}

static uint64_t load(const uint8_t *bytes) {
  uint64_t r;
  memcpy(&r, bytes, sizeof r);
  return r;
}

// The highest bit of a share is none of its own.
static void set_lane(lanes_memory *r, size_t lane, const uint8_t share[X25519_LENGTH]) {
  r->limb[0][lane] = load(share) & LIMB_MASK;
  r->limb[1][lane] = load(share + 6) >> 3 & LIMB_MASK;
  r->limb[2][lane] = load(share + 12) >> 6 & LIMB_MASK;
  r->limb[3][lane] = load(share + 19) >> 1 & LIMB_MASK;
  r->limb[4][lane] = load(share + 24) >> 12 & LIMB_MASK;
}

// Below 2^255 − 19, as bytes. A frame of its own: what is left there is wiped.
static __attribute__((noinline)) void get_lane(uint8_t out[X25519_LENGTH], const lanes_memory *x, size_t lane) {
  uint64_t limb[LIMBS], excess = 19;
  for (int i = 0; i < LIMBS; i++) {
    limb[i] = x->limb[i][lane];
    // 1 in the end if the number is not below 2^255 − 19: then its sum with 19 is not below 2^255.
    excess = (limb[i] + excess) >> LIMB_BITS;
  }
  excess *= 19;
  for (int i = 0; i < LIMBS; i++) {
    limb[i] += excess;
    excess = limb[i] >> LIMB_BITS;
    limb[i] &= LIMB_MASK;
  }
  const uint64_t words[] = {limb[0] | limb[1] << 51, limb[1] >> 13 | limb[2] << 38, limb[2] >> 26 | limb[3] << 25,
                            limb[3] >> 39 | limb[4] << 12};
  memcpy(out, words, X25519_LENGTH);
}

// What the functions above have left there: twice what they use, without a sanitizer.
enum { STACK_USED = 16 * 1024 };

static __attribute__((noinline)) void wipe_stack(void) {
  uint8_t left[STACK_USED];
  OPENSSL_cleanse(left, sizeof left);
}

bool x25519_has_lanes(void) {
  // Unlike the bare bits of cpuid these ask, too, whether the kernel saves the registers.
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512ifma");
}

void x25519_lanes_exchange(const uint8_t secret[X25519_LENGTH], const uint8_t (*peer_shares)[X25519_LENGTH], size_t count,
                           uint8_t (*shared)[X25519_LENGTH]) {
  lanes_memory u;
  memset(&u, 0, sizeof u);
  for (size_t lane = 0; lane < count; lane++) set_lane(&u, lane, peer_shares[lane]);
  climb(&u.vector, secret);
  for (size_t lane = 0; lane < count; lane++) get_lane(shared[lane], &u, lane);
  OPENSSL_cleanse(&u, sizeof u);
  wipe_stack();
}
#else
bool x25519_has_lanes(void) { return false; }

void x25519_lanes_exchange(const uint8_t secret[X25519_LENGTH], const uint8_t (*peer_shares)[X25519_LENGTH], size_t count,
                           uint8_t (*shared)[X25519_LENGTH]) {
  (void)secret;
  (void)peer_shares;
  memset(shared, 0, count * sizeof *shared);
}
#endif
