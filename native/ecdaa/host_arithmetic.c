// The curve's own operations for JavaScript: what tests and fuzzers compare with the reference. A refused input is undefined,
// infinity is an empty array.
#include "napi.h"
#include "addon/arguments.h"
#include "ecdaa.h"
#include "fp256bn/secret.h"
#include <errno.h>
#include <stdlib.h>

static napi_value boolean(napi_env env, bool value) {
  napi_value result;
  napi_get_boolean(env, value, &result);
  return result;
}

static bool read_point(g1_affine *r, const struct addon_bytes *bytes) {
  return bytes->length == G1_LENGTH && g1_decode(r, bytes->data);
}

static bool read_scalar(scalar *r, const struct addon_bytes *bytes) {
  return bytes->length == SCALAR_LENGTH && scalar_decode(r, bytes->data);
}

// fp256bnMultiply(point, scalar), as with secrets
static napi_value multiply(napi_env env, napi_callback_info info) {
  struct addon_bytes given[2];
  g1_affine point;
  scalar k;
  if (!addon_all_bytes(env, info, given, 2)) return addon_bad(env, "fp256bnMultiply(point, scalar: Uint8Array)");
  if (!read_point(&point, &given[0]) || !read_scalar(&k, &given[1])) return addon_undefined(env);
  g1_projective product;
  uint8_t encoded[G1_LENGTH];
  secret_multiply_each(&product, &(struct secret_product){&point, &k}, 1);
  bool finite = secret_normalise(&point, &product, 1);
  explicit_bzero(&k, sizeof k);
  explicit_bzero(&product, sizeof product);
  secret_wipe_stack();
  if (!finite) return addon_new_bytes(env, NULL, 0);
  g1_encode(encoded, &point);
  return addon_new_bytes(env, encoded, sizeof encoded);
}

// The point itself, an equal one before it, or the generator's NULL: equal points of a call are one in memory, as with secrets.
static const g1_affine *same_point(const g1_affine *points, size_t i) {
  uint8_t own[G1_LENGTH], other[G1_LENGTH];
  g1_affine generator;
  g1_generator(&generator);
  g1_encode(own, &points[i]);
  g1_encode(other, &generator);
  if (memcmp(own, other, sizeof own) == 0) return NULL;
  for (size_t j = 0; j < i; j++) {
    g1_encode(other, &points[j]);
    if (memcmp(own, other, sizeof own) == 0) return &points[j];
  }
  return &points[i];
}

// fp256bnMultiplyEach(points, scalars), 1 to 8 of each, as with secrets
static napi_value multiply_each(napi_env env, napi_callback_info info) {
  struct addon_bytes given[2];
  g1_affine points[MAX_PRODUCTS], product;
  scalar scalars[MAX_PRODUCTS];
  struct secret_product each[MAX_PRODUCTS];
  g1_projective products[MAX_PRODUCTS];
  uint8_t encoded[MAX_PRODUCTS * G1_LENGTH] = {0};
  if (!addon_all_bytes(env, info, given, 2)) return addon_bad(env, "fp256bnMultiplyEach(points, scalars: Uint8Array)");
  size_t count = given[0].length / G1_LENGTH;
  if (count < 1 || count > MAX_PRODUCTS || given[0].length != count * G1_LENGTH || given[1].length != count * SCALAR_LENGTH)
    return addon_undefined(env);
  for (size_t i = 0; i < count; i++) {
    bool valid = g1_decode(&points[i], given[0].data + i * G1_LENGTH) &
                 scalar_decode(&scalars[i], given[1].data + i * SCALAR_LENGTH);
    if (!valid) {
      explicit_bzero(scalars, sizeof scalars);
      return addon_undefined(env);
    }
    each[i] = (struct secret_product){same_point(points, i), &scalars[i]};
  }
  secret_multiply_each(products, each, count);
  explicit_bzero(scalars, sizeof scalars);
  for (size_t i = 0; i < count; i++) {
    if (secret_normalise(&product, &products[i], 1)) g1_encode(encoded + i * G1_LENGTH, &product);
  }
  explicit_bzero(products, sizeof products);
  secret_wipe_stack();
  return addon_new_bytes(env, encoded, count * G1_LENGTH);
}

// fp256bnMultiplyAdd(P, a, Q, b) = a·P + b·Q, as in verification
static napi_value multiply_add(napi_env env, napi_callback_info info) {
  struct addon_bytes given[4];
  g1_affine p, q;
  scalar a, b;
  if (!addon_all_bytes(env, info, given, 4)) return addon_bad(env, "fp256bnMultiplyAdd(P, a, Q, b: Uint8Array)");
  if (!read_point(&p, &given[0]) || !read_scalar(&a, &given[1]) || !read_point(&q, &given[2]) || !read_scalar(&b, &given[3]))
    return addon_undefined(env);
  struct g1_table p_table, q_table, *tables[2] = {&p_table, &q_table};
  const g1_affine *points[2] = {&p, &q};
  if (!g1_make_tables(tables, points, 2)) return addon_errno(env, ENOMEM, "multiplying");
  struct split_digits a_digits, b_digits;
  g1_jacobian sum;
  fp scratch;
  uint8_t encoded[G1_LENGTH];
  split_wnaf(&a_digits, &a, WINDOW, false);
  split_wnaf(&b_digits, &b, WINDOW, false);
  g1_multiply_add(&sum, &a_digits, p_table.odd, &b_digits, q_table.odd);
  if (g1_is_infinity(&sum)) return addon_new_bytes(env, NULL, 0);
  g1_normalise(&p, &sum, 1, &scratch);
  g1_encode(encoded, &p);
  return addon_new_bytes(env, encoded, sizeof encoded);
}

// fp256bnDraw(65 random bytes): a scalar
static napi_value draw(napi_env env, napi_callback_info info) {
  struct addon_bytes given;
  scalar k;
  uint8_t encoded[SCALAR_LENGTH];
  if (!addon_all_bytes(env, info, &given, 1)) return addon_bad(env, "fp256bnDraw(bytes: Uint8Array)");
  if (given.length != DRAW_LENGTH) return addon_undefined(env);
  scalar_from_draw(&k, given.data);
  scalar_encode(encoded, &k);
  napi_value result = addon_new_bytes(env, encoded, sizeof encoded);
  explicit_bzero(&k, sizeof k);
  explicit_bzero(encoded, sizeof encoded);
  return result;
}

// fp256bnHashToG1(basename)
static napi_value hash_to_g1(napi_env env, napi_callback_info info) {
  struct addon_bytes given;
  g1_affine point;
  uint8_t encoded[G1_LENGTH];
  if (!addon_all_bytes(env, info, &given, 1)) return addon_bad(env, "fp256bnHashToG1(basename: Uint8Array)");
  if (!ecdaa_hash_to_g1(&point, given.data, given.length)) return addon_undefined(env);
  g1_encode(encoded, &point);
  return addon_new_bytes(env, encoded, sizeof encoded);
}

// fp256bnIsG2(point): boolean
static napi_value is_g2(napi_env env, napi_callback_info info) {
  struct addon_bytes given;
  g2_affine point;
  if (!addon_all_bytes(env, info, &given, 1)) return addon_bad(env, "fp256bnIsG2(point: Uint8Array)");
  return boolean(env, given.length == G2_LENGTH && g2_decode(&point, given.data));
}

// fp256bnProductIsOne(P, Q, P', Q') = e(P, Q)·e(P', Q') is 1: boolean | undefined
static napi_value product_is_one(napi_env env, napi_callback_info info) {
  struct addon_bytes given[4];
  if (!addon_all_bytes(env, info, given, 4)) return addon_bad(env, "fp256bnProductIsOne(P, Q, P2, Q2: Uint8Array)");
  g1_jacobian points[2];
  struct pairing_lines *lines = calloc(2, sizeof *lines);
  if (!lines) return addon_errno(env, ENOMEM, "pairing");
  bool valid = true;
  for (int i = 0; i < 2 && valid; i++) {
    g1_affine point;
    g2_affine q;
    valid = read_point(&point, &given[2 * i]) && given[2 * i + 1].length == G2_LENGTH &&
            g2_decode(&q, given[2 * i + 1].data);
    if (!valid) break;
    g1_from_affine(&points[i], &point);
    valid = pairing_prepare(&lines[i], &q);
  }
  const struct pairing_lines *each[2] = {&lines[0], &lines[1]};
  napi_value result = valid ? boolean(env, pairing_product_is_one(points, each, 2)) : addon_undefined(env);
  for (int i = 0; i < 2; i++) pairing_forget(&lines[i]);
  free(lines);
  return result;
}

void register_host_arithmetic(napi_env env, napi_value exports) {
  addon_function(env, exports, "fp256bnMultiply", multiply);
  addon_function(env, exports, "fp256bnMultiplyEach", multiply_each);
  addon_function(env, exports, "fp256bnMultiplyAdd", multiply_add);
  addon_function(env, exports, "fp256bnDraw", draw);
  addon_function(env, exports, "fp256bnHashToG1", hash_to_g1);
  addon_function(env, exports, "fp256bnIsG2", is_g2);
  addon_function(env, exports, "fp256bnProductIsOne", product_is_one);
}
