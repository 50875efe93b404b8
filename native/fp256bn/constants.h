// FP256BN as numbers. Made by native/fp256bn/generate.mjs; do not edit. Field elements are in Montgomery form (x·2^256 mod p),
// everything is least significant limb first.
#pragma once
#include "types.h"

// p, -1/p mod 2^64, 2^256 mod p (one), 2^512 mod p (into Montgomery form), 3.
static const uint64_t FIELD_ORDER[4] = {0xd3292ddbaed33013, 0x0cdc65fb12980a82, 0x46e5f25eee71a49f, 0xfffffffffffcf0cd};
static const uint64_t FIELD_INVERSE = 0xad6c964e0537e5e5;
static const fp FP_ONE = {{0x2cd6d224512ccfed, 0xf3239a04ed67f57d, 0xb91a0da1118e5b60, 0x0000000000030f32}};
static const fp FP_R2 = {{0xfac8c6101092b98f, 0xdb90d49cd7f91154, 0x4f325fc732bf3141, 0x4de578ea0e56a005}};
static const fp FP_THREE = {{0x8684766cf3866fc7, 0xd96ace0ec837e077, 0x2b4e28e334ab1222, 0x0000000000092d98}};
// q·(2^256 - p) for q = 0 ... 7: what q·2^256 is mod p.
static const fp FIELD_EXCESS[8] = {
  {{0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000}},
  {{0x2cd6d224512ccfed, 0xf3239a04ed67f57d, 0xb91a0da1118e5b60, 0x0000000000030f32}},
  {{0x59ada448a2599fda, 0xe6473409dacfeafa, 0x72341b42231cb6c1, 0x0000000000061e65}},
  {{0x8684766cf3866fc7, 0xd96ace0ec837e077, 0x2b4e28e334ab1222, 0x0000000000092d98}},
  {{0xb35b489144b33fb4, 0xcc8e6813b59fd5f4, 0xe468368446396d83, 0x00000000000c3cca}},
  {{0xe0321ab595e00fa1, 0xbfb20218a307cb71, 0x9d82442557c7c8e4, 0x00000000000f4bfd}},
  {{0x0d08ecd9e70cdf8e, 0xb2d59c1d906fc0ef, 0x569c51c669562445, 0x0000000000125b30}},
  {{0x39dfbefe3839af7b, 0xa5f936227dd7b66c, 0x0fb65f677ae47fa6, 0x0000000000156a63}}};

// p - 2 (inversion) and (p + 1)/4 (square roots: p is 3 mod 4).
static const uint64_t P_MINUS_2[4] = {0xd3292ddbaed33011, 0x0cdc65fb12980a82, 0x46e5f25eee71a49f, 0xfffffffffffcf0cd};
static const uint64_t P_PLUS_1_OVER_4[4] = {0xb4ca4b76ebb4cc05, 0xc337197ec4a602a0, 0x51b97c97bb9c6927, 0x3fffffffffff3c33};
// n, -1/n mod 2^64, and 2^512 mod n.
static const uint64_t GROUP_ORDER[4] = {0xf62d536cd10b500d, 0x0cdc65fb1299921a, 0x46e5f25eee71a49e, 0xfffffffffffcf0cd};
static const uint64_t GROUP_INVERSE = 0x9826627c9c6813b;
static const uint64_t GROUP_R2[4] = {0xaf948aa38f4c4808, 0xbd789efd26123232, 0x117fd17ceb526be7, 0x2bfc4998fb8f407a};

// GLV: (x, y) -> (BETA x, y) is multiplication by lambda. GLV_G1 = round(2^384 b2 / n), GLV_G2 = round(2^384 b1 / n); the
// basis (a1, b1), (a2, b2) of the lattice mod 2^192.
static const fp BETA = {{0xac44103884008c2c, 0x26e76706f524db81, 0x49cc4e27b51eaff8, 0x266648723c3f9cff}};
static const uint64_t GLV_G1[5] = {0x8cb9048ba170aceb, 0xca13df5cee129700, 0xf40a1113da9e04d4, 0x0000000000018798, 0x0000000000000001};
static const uint64_t GLV_G2[5] = {0x88097763f899d383, 0x859835ddce889a08, 0xd105eb806163cf7b, 0x0000000000000000, 0x0000000000000000};
static const uint64_t GLV_A1[3] = {0x0bf5eeee7c669004, 0xfffffffffffe7867, 0x0000000000000000};
static const uint64_t GLV_B1[3] = {0xd105eb8061615001, 0x0000000000000000, 0x0000000000000000};
static const uint64_t GLV_A2[3] = {0x2efa147f9e9eafff, 0xffffffffffffffff, 0xffffffffffffffff};
static const uint64_t GLV_B2[3] = {0x3af0036e1b054003, 0xfffffffffffe7866, 0x0000000000000000};

// The generator of G2, and the twist's constant 3(1 + i).
static const fp2 G2_X = {{{0xa5f72e512a58e874, 0xd6af39fa50376ba1, 0x75472a8601715d86, 0x249126fcd8059346}},
   {{0xd79d352ed564775b, 0xf18307be18559499, 0x32fa3c090291ce52, 0xf136c243812c839d}}};
static const fp2 G2_Y = {{{0x5fe22b7200bbc9c4, 0x7f701e818fe171ce, 0x39a1a6dec3e97b52, 0xa1398b3f1774bf60}},
   {{0x53b320fe69ac6026, 0x330f5117400e79ed, 0x0c31a9d2f9d1c1a5, 0xd83ed9be001ca75a}}};
static const fp2 TWIST_B = {{{0x8684766cf3866fc7, 0xd96ace0ec837e077, 0x2b4e28e334ab1222, 0x0000000000092d98}},
   {{0x8684766cf3866fc7, 0xd96ace0ec837e077, 0x2b4e28e334ab1222, 0x0000000000092d98}}};

// psi(x, y) = (conj(x) PSI_X, conj(y) PSI_Y).
static const fp2 PSI_X = {{{0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000}},
   {{0xd91ae25cd52d5c19, 0x1a0b010be28cd0fe, 0x02e65bc8c6ad0b59, 0x266648723c42ac32}}};
static const fp2 PSI_Y = {{{0x744c3786563f0a40, 0xf7c7c898470939bf, 0x28082a0115be16a8, 0x6f2480ef7fbd4c4d}},
   {{0x5edcf655589425d3, 0x15149d62cb8ed0c3, 0x1eddc85dd8b38df6, 0x90db7f10803fa480}}};
// What x -> x^p, x^(p^2), x^(p^3) multiply the (conjugated) coefficients of w^0 ... w^5 with.
static const fp2 FROBENIUS1[6] = {
  {{{0x2cd6d224512ccfed, 0xf3239a04ed67f57d, 0xb91a0da1118e5b60, 0x0000000000030f32}},
   {{0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000}}},
  {{{0x77f4336c9f5752e0, 0xe3bdb82d415ee3e9, 0x1db98d9447e2e741, 0x18511e53c29f09a5}},
   {{0x5b34fa6f0f7bdd33, 0x291eadcdd1392699, 0x292c64caa68ebd5d, 0xe7aee1ac3d5de728}}},
  {{{0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000}},
   {{0xac44103884008c2c, 0x26e76706f524db81, 0x49cc4e27b51eaff8, 0x266648723c3f9cff}}},
  {{{0x5edcf655589425d3, 0x15149d62cb8ed0c3, 0x1eddc85dd8b38df6, 0x90db7f10803fa480}},
   {{0x5edcf655589425d3, 0x15149d62cb8ed0c3, 0x1eddc85dd8b38df6, 0x90db7f10803fa480}}},
  {{{0xd91ae25cd52d5c19, 0x1a0b010be28cd0fe, 0x02e65bc8c6ad0b59, 0x266648723c42ac32}},
   {{0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000}}},
  {{{0xd6d129c1f7eb78b3, 0xf8d255900cedb4ac, 0x3c9755f220967537, 0xa92c9d6442deae25}},
   {{0xfc580419b6e7b760, 0x140a106b05aa55d5, 0x0a4e9c6ccddb2f67, 0x56d3629bbd1e42a8}}}};
static const fp FROBENIUS2[6] = {
  {{0x2cd6d224512ccfed, 0xf3239a04ed67f57d, 0xb91a0da1118e5b60, 0x0000000000030f32}},
  {{0x26e51da32ad2a3e7, 0xe5f4fef41d732f01, 0xfd19a4373952f4a6, 0xd999b78dc3bd53cd}},
  {{0xfa0e4b7ed9a5d3fa, 0xf2d164ef300b3983, 0x43ff969627c49945, 0xd999b78dc3ba449b}},
  {{0xa6525bb75da66026, 0x19b8cbf625301505, 0x8dcbe4bddce3493e, 0xfffffffffff9e19a}},
  {{0xac44103884008c2c, 0x26e76706f524db81, 0x49cc4e27b51eaff8, 0x266648723c3f9cff}},
  {{0xd91ae25cd52d5c19, 0x1a0b010be28cd0fe, 0x02e65bc8c6ad0b59, 0x266648723c42ac32}}};
static const fp2 FROBENIUS3[6] = {
  {{{0x2cd6d224512ccfed, 0xf3239a04ed67f57d, 0xb91a0da1118e5b60, 0x0000000000030f32}},
   {{0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000}}},
  {{{0x744c3786563f0a40, 0xf7c7c898470939bf, 0x28082a0115be16a8, 0x6f2480ef7fbd4c4d}},
   {{0x5edcf655589425d3, 0x15149d62cb8ed0c3, 0x1eddc85dd8b38df6, 0x90db7f10803fa480}}},
  {{{0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000}},
   {{0x2cd6d224512ccfed, 0xf3239a04ed67f57d, 0xb91a0da1118e5b60, 0x0000000000030f32}}},
  {{{0x744c3786563f0a40, 0xf7c7c898470939bf, 0x28082a0115be16a8, 0x6f2480ef7fbd4c4d}},
   {{0x744c3786563f0a40, 0xf7c7c898470939bf, 0x28082a0115be16a8, 0x6f2480ef7fbd4c4d}}},
  {{{0xa6525bb75da66026, 0x19b8cbf625301505, 0x8dcbe4bddce3493e, 0xfffffffffff9e19a}},
   {{0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x0000000000000000}}},
  {{{0x5edcf655589425d3, 0x15149d62cb8ed0c3, 0x1eddc85dd8b38df6, 0x90db7f10803fa480}},
   {{0x744c3786563f0a40, 0xf7c7c898470939bf, 0x28082a0115be16a8, 0x6f2480ef7fbd4c4d}}}};

// Signed digits, most significant first: of 6|u| - 2 (Miller loop), of |u| with digits up to 3 (final exponentiation), and of
// 6u^2 (subgroup test).
#define ATE_LENGTH 66
static const int8_t ATE_DIGITS[66] = {1, 0, 1, 0, 0, -1, 0, 1, 0, -1, 0, 0, 0, 1, 0, 0, 1, 0, 0, -1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
#define U_LENGTH 64
static const int8_t U_DIGITS[64] = {1, 0, 0, 0, -3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, -1, 0, 0, 3, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1, 0, 0, 3, 0, 0, 0, 0, 0, 3, 0, 0, -3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
#define SUBGROUP_LENGTH 129
static const int8_t SUBGROUP_DIGITS[129] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0, -1, 0, 0, 0, 1, 0, -1, 0, 1, 0, 0, 0, 0, 0, -1, 0, 0, -1, 0, 1, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, -1, 0, 1, 0, 1, 0, 0, -1, 0, 0, 0, -1, 0, 0, -1, 0, 0, 0, -1, 0, 0, -1, 0, 0, 1, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, -1, 0};
// How many lines a Miller loop has, the last two included.
#define ATE_LINES 83

// For eight lanes of five 52-bit limbs, Montgomery form x·2^260: p and its multiples, 2^256 - p, -1/p mod 2^52, one, beta.
static const uint64_t LANES_P[5] = {0x92ddbaed33013, 0xfb12980a82d32, 0xe71a49f0cdc65, 0xf0cd46e5f25ee, 0x0fffffffffffc};
static const uint64_t LANES_2P[5] = {0x25bb75da66026, 0xf625301505a65, 0xce3493e19b8cb, 0xe19a8dcbe4bdd, 0x1fffffffffff9};
static const uint64_t LANES_4P[5] = {0x4b76ebb4cc04c, 0xec4a602a0b4ca, 0x9c6927c337197, 0xc3351b97c97bb, 0x3fffffffffff3};
static const uint64_t LANES_8P[5] = {0x96edd76998098, 0xd894c05416994, 0x38d24f866e32f, 0x866a372f92f77, 0x7ffffffffffe7};
static const uint64_t LANES_FOLD[5] = {0x6d224512ccfed, 0x04ed67f57d2cd, 0x18e5b60f3239a, 0x0f32b91a0da11, 0x0000000000003};
static const uint64_t LANES_INVERSE = 0xc964e0537e5e5;
static const uint64_t LANES_ONE[5] = {0xd224512ccfed0, 0x4ed67f57d2cd6, 0x8e5b60f3239a0, 0xf32b91a0da111, 0x0000000000030};
static const uint64_t LANES_BETA[5] = {0xea7d0e262629a, 0x792d1da3151de, 0x507b64454bda4, 0xee5a0ef8fdbd7, 0x066648723c3ff};
// 2^252: takes x·2^260 to x·2^256 in one multiplication.
static const fp FP_FROM_LANES = {{0x0000000000000000, 0x0000000000000000, 0x0000000000000000, 0x1000000000000000}};
