#include "scalar.h"
#include "fp.h"

static void load(scalar *r, const uint8_t *bytes) {
  for (int i = 0; i < 4; i++) {
    uint64_t word = 0;
    for (int j = 0; j < 8; j++) word = word << 8 | bytes[8 * (3 - i) + j];
    r->limb[i] = word;
  }
}

// n > 2^255: one subtraction reduces any 256-bit number.
static void reduce(scalar *x) { reduce_once(x->limb, x->limb, 0, GROUP_ORDER); }

bool scalar_decode(scalar *r, const uint8_t *bytes) {
  load(r, bytes);
  uint64_t borrow = 0;
  for (int i = 0; i < 4; i++) sub_borrow(r->limb[i], GROUP_ORDER[i], &borrow);
  return borrow;
}

void scalar_encode(uint8_t *bytes, const scalar *x) {
  for (int i = 0; i < SCALAR_LENGTH; i++) bytes[SCALAR_LENGTH - 1 - i] = (uint8_t)(x->limb[i / 8] >> (i % 8 * 8));
}

void scalar_from_digest(scalar *r, const uint8_t *digest) {
  load(r, digest);
  reduce(r);
}

static uint8_t reverse_bits(uint8_t byte) {
  byte = (uint8_t)((byte & 0xf0) >> 4 | (byte & 0x0f) << 4);
  byte = (uint8_t)((byte & 0xcc) >> 2 | (byte & 0x33) << 2);
  return (uint8_t)((byte & 0xaa) >> 1 | (byte & 0x55) << 1);
}

void scalar_from_draw(scalar *r, const uint8_t *draw) {
  uint8_t reversed[64];
  for (int i = 0; i < 64; i++) reversed[i] = reverse_bits(draw[i]);
  scalar high, low;
  load(&high, reversed);
  load(&low, reversed + 32);
  // high·2^512/2^256 = high·2^256
  montgomery_multiply(high.limb, high.limb, GROUP_R2, GROUP_ORDER, GROUP_INVERSE);
  reduce(&low);
  scalar_add(r, &high, &low);
  explicit_bzero(reversed, sizeof reversed);
  explicit_bzero(&high, sizeof high);
  explicit_bzero(&low, sizeof low);
}

bool scalar_is_zero(const scalar *x) { return !(x->limb[0] | x->limb[1] | x->limb[2] | x->limb[3]); }

void scalar_add(scalar *r, const scalar *x, const scalar *y) {
  uint64_t carry = 0, sum[4];
  for (int i = 0; i < 4; i++) sum[i] = add_carry(x->limb[i], y->limb[i], &carry);
  reduce_once(r->limb, sum, carry, GROUP_ORDER);
}

void scalar_mul(scalar *r, const scalar *x, const scalar *y) {
  uint64_t product[4];
  montgomery_multiply(product, x->limb, y->limb, GROUP_ORDER, GROUP_INVERSE);
  montgomery_multiply(r->limb, product, GROUP_R2, GROUP_ORDER, GROUP_INVERSE);
  explicit_bzero(product, sizeof product);
}

// r = k·g >> 384
static void multiply_shift(uint64_t r[3], const scalar *k, const uint64_t g[5]) {
  uint64_t product[9] = {0};
  for (int i = 0; i < 4; i++) {
    uint64_t carry = 0;
    for (int j = 0; j < 5; j++) product[i + j] = multiply_carry(k->limb[i], g[j], product[i + j], &carry);
    product[i + 5] = carry;
  }
  for (int i = 0; i < 3; i++) r[i] = product[6 + i];
}

// r += x·y or r -= x·y, mod 2^192
static void multiply_accumulate(uint64_t r[3], const uint64_t x[3], const uint64_t y[3], bool subtract) {
  uint64_t product[3] = {0}, carry = 0;
  for (int i = 0; i < 3; i++) {
    uint64_t high = 0;
    for (int j = 0; i + j < 3; j++) product[i + j] = multiply_carry(x[i], y[j], product[i + j], &high);
  }
  for (int i = 0; i < 3; i++)
    r[i] = subtract ? sub_borrow(r[i], product[i], &carry) : add_carry(r[i], product[i], &carry);
}

static void take_sign(struct half *h) {
  h->negative = mask_of(h->limb[2] >> 63);
  uint64_t carry = h->negative & 1;
  for (int i = 0; i < 3; i++) h->limb[i] = add_carry(h->limb[i] ^ h->negative, 0, &carry);
}

// (k, 0) minus the lattice vector near it, c1·(a1, b1) − c2·(a2, b2) with c1 = k·b2/n and c2 = k·b1/n, both rounded down: so
// |k1| ≤ |a1| + |a2| and |k2| ≤ |b1| + |b2|.
void glv_split(struct half *k1, struct half *k2, const scalar *k) {
  uint64_t c1[3], c2[3];
  multiply_shift(c1, k, GLV_G1);
  multiply_shift(c2, k, GLV_G2);
  for (int i = 0; i < 3; i++) {
    k1->limb[i] = k->limb[i];
    k2->limb[i] = 0;
  }
  multiply_accumulate(k1->limb, c1, GLV_A1, true);
  multiply_accumulate(k1->limb, c2, GLV_A2, false);
  multiply_accumulate(k2->limb, c1, GLV_B1, true);
  multiply_accumulate(k2->limb, c2, GLV_B2, false);
  take_sign(k1);
  take_sign(k2);
  explicit_bzero(c1, sizeof c1);
  explicit_bzero(c2, sizeof c2);
}

void half_windows(int8_t digits[HALF_WINDOWS], const struct half *h) {
  uint64_t carry = 0;
  for (int i = 0; i < HALF_WINDOWS; i++) {
    uint64_t window = (h->limb[i / 16] >> (i % 16 * 4) & 15) + carry;
    carry = (window + 7) >> 4;
    uint64_t digit = window - (carry << 4);
    digits[i] = (int8_t)((digit ^ h->negative) - h->negative);
  }
}
