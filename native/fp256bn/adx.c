// Multiplication in Fp with mulx, adcx and adox: two independent carry chains in each row of a product. They start anew with each row: a
// row that took its flags from the one before would wait for it. Straight-line code without branches; the sums of products have a table, as
// they never see secrets. The running sum of rows has six limbs (fp.h); a register that has become zero is the sixth of the next rows.
#include "fp.h"

#if defined(__x86_64__) && !defined(FP256BN_PORTABLE)

// t0 … t5 += x[j]·(limb i of y[j]). The upper limb of a product is at most 2^64 − 2: it takes the carry of the chain below.
#define ROW(j, i, t0, t1, t2, t3, t4, t5)                                    \
  "movq 32*" #j "+8*" #i "(%[y]), %%rdx\n\t"                                 \
  "xorl %k[lo], %k[lo]\n\t"                                                  \
  "mulxq 32*" #j "(%[x]), %[lo], %[hi]\n\t"                                  \
  "adcxq %[lo], %[" #t0 "]\n\t"                                              \
  "adoxq %[hi], %[" #t1 "]\n\t"                                              \
  "mulxq 32*" #j "+8(%[x]), %[lo], %[hi]\n\t"                                \
  "adcxq %[lo], %[" #t1 "]\n\t"                                              \
  "adoxq %[hi], %[" #t2 "]\n\t"                                              \
  "mulxq 32*" #j "+16(%[x]), %[lo], %[hi]\n\t"                               \
  "adcxq %[lo], %[" #t2 "]\n\t"                                              \
  "adoxq %[hi], %[" #t3 "]\n\t"                                              \
  "mulxq 32*" #j "+24(%[x]), %[lo], %[hi]\n\t"                               \
  "adcxq %[lo], %[" #t3 "]\n\t"                                              \
  "adcxq %[zero], %[hi]\n\t"                                                 \
  "adoxq %[hi], %[" #t4 "]\n\t"                                              \
  "adoxq %[zero], %[" #t5 "]\n\t"

// t0 … t5 = x[0]·(limb 0 of y[0])
#define FIRST_ROW                                                            \
  "movq 0(%[y]), %%rdx\n\t"                                                  \
  "mulxq 0(%[x]), %[t0], %[t1]\n\t"                                          \
  "mulxq 8(%[x]), %[lo], %[t2]\n\t"                                          \
  "addq %[lo], %[t1]\n\t"                                                    \
  "mulxq 16(%[x]), %[lo], %[t3]\n\t"                                         \
  "adcq %[lo], %[t2]\n\t"                                                    \
  "mulxq 24(%[x]), %[lo], %[t4]\n\t"                                         \
  "adcq %[lo], %[t3]\n\t"                                                    \
  "adcq $0, %[t4]\n\t"                                                       \
  "xorl %k[t5], %k[t5]\n\t"                                                  \
  "xorl %k[zero], %k[zero]\n\t"

// t0 … t4 += m·p with m such that t0 becomes zero; the carries out of t3 and t4 are left in their flags, the upper limb of the last
// product in hi.
#define ADD_MULTIPLE(t0, t1, t2, t3)                                         \
  "movq %[inverse], %%rdx\n\t"                                               \
  "imulq %[" #t0 "], %%rdx\n\t"                                              \
  "xorl %k[lo], %k[lo]\n\t"                                                  \
  "mulxq 0+%[p], %[lo], %[hi]\n\t"                                           \
  "adcxq %[lo], %[" #t0 "]\n\t"                                              \
  "adoxq %[hi], %[" #t1 "]\n\t"                                              \
  "mulxq 8+%[p], %[lo], %[hi]\n\t"                                           \
  "adcxq %[lo], %[" #t1 "]\n\t"                                              \
  "adoxq %[hi], %[" #t2 "]\n\t"                                              \
  "mulxq 16+%[p], %[lo], %[hi]\n\t"                                          \
  "adcxq %[lo], %[" #t2 "]\n\t"                                              \
  "adoxq %[hi], %[" #t3 "]\n\t"                                              \
  "mulxq 24+%[p], %[lo], %[hi]\n\t"                                          \
  "adcxq %[lo], %[" #t3 "]\n\t"

// The same with t5 as the sixth limb; t0 is that of the next rows.
#define REDUCTION(t0, t1, t2, t3, t4, t5)                                    \
  ADD_MULTIPLE(t0, t1, t2, t3)                                               \
  "adcxq %[" #t0 "], %[hi]\n\t"                                              \
  "adoxq %[hi], %[" #t4 "]\n\t"                                              \
  "adoxq %[" #t0 "], %[" #t5 "]\n\t"

// The same of a whole product: the carry beyond t4 is left in t0, the one of the reduction before comes in as `carry`.
#define WIDE_REDUCTION(t0, t1, t2, t3, t4, carry)                            \
  ADD_MULTIPLE(t0, t1, t2, t3)                                               \
  "adoxq %[hi], %[" #t4 "]\n\t"                                              \
  "movl $0, %k[lo]\n\t"                                                      \
  "adcxq %[" #carry "], %[" #t4 "]\n\t"                                      \
  "adcxq %[lo], %[" #t0 "]\n\t"                                              \
  "adoxq %[lo], %[" #t0 "]\n\t"

// (carry, t3 ... t0) minus p unless that is negative.
#define SUBTRACT_ORDER(t0, t1, t2, t3, carry, s0, s1, s2)                    \
  "movq %[" #t0 "], %[" #s0 "]\n\t"                                          \
  "movq %[" #t1 "], %[" #s1 "]\n\t"                                          \
  "movq %[" #t2 "], %[" #s2 "]\n\t"                                          \
  "movq %[" #t3 "], %%rdx\n\t"                                               \
  "subq 0+%[p], %[" #t0 "]\n\t"                                              \
  "sbbq 8+%[p], %[" #t1 "]\n\t"                                              \
  "sbbq 16+%[p], %[" #t2 "]\n\t"                                             \
  "sbbq 24+%[p], %[" #t3 "]\n\t"                                             \
  "sbbq $0, %[" #carry "]\n\t"                                               \
  "cmovcq %[" #s0 "], %[" #t0 "]\n\t"                                        \
  "cmovcq %[" #s1 "], %[" #t1 "]\n\t"                                        \
  "cmovcq %[" #s2 "], %[" #t2 "]\n\t"                                        \
  "cmovcq %%rdx, %[" #t3 "]\n\t"

// (t2, t1, t0, t5, t4) += the addend.
#define ADD_ADDEND                                                           \
  "addq 0(%[addend]), %[t4]\n\t"                                             \
  "adcq 8(%[addend]), %[t5]\n\t"                                             \
  "adcq 16(%[addend]), %[t0]\n\t"                                            \
  "adcq 24(%[addend]), %[t1]\n\t"                                            \
  "adcq $0, %[t2]\n\t"                                                       \
  "xorl %k[zero], %k[zero]\n\t"

// Brings (t2, t1, t0, t5, t4) below p: FIELD_EXCESS[t2] in place of t2·2^256, then p is subtracted unless that is negative.
#define BELOW_ORDER                                                          \
  "shlq $5, %[t2]\n\t"                                                       \
  "leaq %[excess], %[lo]\n\t"                                                \
  "addq %[lo], %[t2]\n\t"                                                    \
  "addq 0(%[t2]), %[t4]\n\t"                                                 \
  "adcq 8(%[t2]), %[t5]\n\t"                                                 \
  "adcq 16(%[t2]), %[t0]\n\t"                                                \
  "adcq 24(%[t2]), %[t1]\n\t"                                                \
  "movl $0, %k[t2]\n\t"                                                      \
  "adcq $0, %[t2]\n\t"                                                       \
  SUBTRACT_ORDER(t4, t5, t0, t1, t2, lo, hi, t3)

#define MORE1(i, ...) REDUCTION(__VA_ARGS__)
#define MORE2(i, ...) ROW(1, i, __VA_ARGS__) REDUCTION(__VA_ARGS__)
#define MORE3(i, ...) ROW(1, i, __VA_ARGS__) ROW(2, i, __VA_ARGS__) REDUCTION(__VA_ARGS__)
#define MORE4(i, ...) ROW(1, i, __VA_ARGS__) ROW(2, i, __VA_ARGS__) ROW(3, i, __VA_ARGS__) REDUCTION(__VA_ARGS__)
#define MORE6(i, ...) ROW(1, i, __VA_ARGS__) ROW(2, i, __VA_ARGS__) ROW(3, i, __VA_ARGS__) ROW(4, i, __VA_ARGS__)    \
  ROW(5, i, __VA_ARGS__) REDUCTION(__VA_ARGS__)
#define ROWS(more, i, ...) ROW(0, i, __VA_ARGS__) more(i, __VA_ARGS__)
#define ALL_ROWS(more)                                                                                               \
  FIRST_ROW more(0, t0, t1, t2, t3, t4, t5)                                                                          \
  ROWS(more, 1, t1, t2, t3, t4, t5, t0)                                                                              \
  ROWS(more, 2, t2, t3, t4, t5, t0, t1)                                                                              \
  ROWS(more, 3, t3, t4, t5, t0, t1, t2)

#define LIMBS                                                                                                        \
  [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5), [lo] "=&r"(lo),    \
      [hi] "=&r"(hi), [zero] "=&r"(zero)
#define OPERANDS(count)                                                                                              \
  [x] "r"(x), [y] "r"(y), "m"(*(const fp(*)[count])x), "m"(*(const fp(*)[count])y),                                  \
      [p] "m"(*(const fp *)FIELD_ORDER), [excess] "m"(FIELD_EXCESS), [inverse] "m"(FIELD_INVERSE)

void fp_mul_adx(fp *r, const fp *x, const fp *y) {
  uint64_t t0, t1, t2, t3, t4, t5, lo, hi, zero;
  // Below 2p before the last subtraction.
  __asm__(ALL_ROWS(MORE1) SUBTRACT_ORDER(t4, t5, t0, t1, t2, lo, hi, t3) : LIMBS : OPERANDS(1) : "rdx", "cc");
  *r = (fp){{t4, t5, t0, t1}};
}

// t7 … t0 = x²: the products of different limbs, doubled in one chain while the squares are added in the other.
#define SQUARE                                                               \
  "movq 0(%[x]), %%rdx\n\t"                                                  \
  "mulxq 8(%[x]), %[t1], %[t2]\n\t"                                          \
  "mulxq 16(%[x]), %[lo], %[t3]\n\t"                                         \
  "addq %[lo], %[t2]\n\t"                                                    \
  "mulxq 24(%[x]), %[lo], %[t4]\n\t"                                         \
  "adcq %[lo], %[t3]\n\t"                                                    \
  "adcq $0, %[t4]\n\t"                                                       \
  "movq 8(%[x]), %%rdx\n\t"                                                  \
  "xorl %k[t5], %k[t5]\n\t"                                                  \
  "mulxq 16(%[x]), %[lo], %[hi]\n\t"                                         \
  "adcxq %[lo], %[t3]\n\t"                                                   \
  "adoxq %[hi], %[t4]\n\t"                                                   \
  "mulxq 24(%[x]), %[lo], %[hi]\n\t"                                         \
  "adcxq %[lo], %[t4]\n\t"                                                   \
  "adoxq %[hi], %[t5]\n\t"                                                   \
  "movl $0, %k[t7]\n\t"                                                      \
  "adcxq %[t7], %[t5]\n\t"                                                   \
  "movq 16(%[x]), %%rdx\n\t"                                                 \
  "mulxq 24(%[x]), %[lo], %[t6]\n\t"                                         \
  "addq %[lo], %[t5]\n\t"                                                    \
  "adcq $0, %[t6]\n\t"                                                       \
  "movq 0(%[x]), %%rdx\n\t"                                                  \
  "xorl %k[t7], %k[t7]\n\t"                                                  \
  "mulxq %%rdx, %[t0], %[hi]\n\t"                                            \
  "adoxq %[t1], %[t1]\n\t"                                                   \
  "adcxq %[hi], %[t1]\n\t"                                                   \
  "movq 8(%[x]), %%rdx\n\t"                                                  \
  "mulxq %%rdx, %[lo], %[hi]\n\t"                                            \
  "adoxq %[t2], %[t2]\n\t"                                                   \
  "adcxq %[lo], %[t2]\n\t"                                                   \
  "adoxq %[t3], %[t3]\n\t"                                                   \
  "adcxq %[hi], %[t3]\n\t"                                                   \
  "movq 16(%[x]), %%rdx\n\t"                                                 \
  "mulxq %%rdx, %[lo], %[hi]\n\t"                                            \
  "adoxq %[t4], %[t4]\n\t"                                                   \
  "adcxq %[lo], %[t4]\n\t"                                                   \
  "adoxq %[t5], %[t5]\n\t"                                                   \
  "adcxq %[hi], %[t5]\n\t"                                                   \
  "movq 24(%[x]), %%rdx\n\t"                                                 \
  "mulxq %%rdx, %[lo], %[hi]\n\t"                                            \
  "adoxq %[t6], %[t6]\n\t"                                                   \
  "adcxq %[lo], %[t6]\n\t"                                                   \
  "adoxq %[t7], %[t7]\n\t"                                                   \
  "adcxq %[hi], %[t7]\n\t"

void fp_sqr_adx(fp *r, const fp *x) {
  uint64_t t0, t1, t2, t3, t4, t5, t6, t7, lo, hi;
  __asm__(
      SQUARE
      WIDE_REDUCTION(t0, t1, t2, t3, t4, lo)
      WIDE_REDUCTION(t1, t2, t3, t4, t5, t0)
      WIDE_REDUCTION(t2, t3, t4, t5, t6, t1)
      WIDE_REDUCTION(t3, t4, t5, t6, t7, t2)
      SUBTRACT_ORDER(t4, t5, t6, t7, t3, lo, hi, t0)
      : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5), [t6] "=&r"(t6),
        [t7] "=&r"(t7), [lo] "=&r"(lo), [hi] "=&r"(hi)
      : [x] "r"(x), "m"(*x), [p] "m"(*(const fp *)FIELD_ORDER), [inverse] "m"(FIELD_INVERSE)
      : "rdx", "cc");
  *r = (fp){{t4, t5, t6, t7}};
}

void fp_dot2_adx(fp *r, const fp *x, const fp *y) {
  uint64_t t0, t1, t2, t3, t4, t5, lo, hi, zero;
  __asm__(ALL_ROWS(MORE2) BELOW_ORDER : LIMBS : OPERANDS(2) : "rdx", "cc");
  *r = (fp){{t4, t5, t0, t1}};
}

void fp_dot3_adx(fp *r, const fp *x, const fp *y) {
  uint64_t t0, t1, t2, t3, t4, t5, lo, hi, zero;
  __asm__(ALL_ROWS(MORE3) BELOW_ORDER : LIMBS : OPERANDS(3) : "rdx", "cc");
  *r = (fp){{t4, t5, t0, t1}};
}

void fp_dot4_add_adx(fp *r, const fp *x, const fp *y, const fp *addend) {
  uint64_t t0, t1, t2, t3, t4, t5, lo, hi, zero;
  __asm__(ALL_ROWS(MORE4) ADD_ADDEND BELOW_ORDER
          : LIMBS
          : OPERANDS(4), [addend] "r"(addend), "m"(*addend)
          : "rdx", "cc");
  *r = (fp){{t4, t5, t0, t1}};
}

void fp_dot6_adx(fp *r, const fp *x, const fp *y) {
  uint64_t t0, t1, t2, t3, t4, t5, lo, hi, zero;
  __asm__(ALL_ROWS(MORE6) BELOW_ORDER : LIMBS : OPERANDS(6) : "rdx", "cc");
  *r = (fp){{t4, t5, t0, t1}};
}

#else

// Never called: fp_choose() refuses.
void fp_mul_adx(fp *r, const fp *x, const fp *y) {
  montgomery_multiply(r->limb, x->limb, y->limb, FIELD_ORDER, FIELD_INVERSE);
}

void fp_sqr_adx(fp *r, const fp *x) { fp_mul_adx(r, x, x); }

void fp_dot2_adx(fp *r, const fp *x, const fp *y) { fp_dot2_portable(r, x, y); }

void fp_dot3_adx(fp *r, const fp *x, const fp *y) { fp_dot3_portable(r, x, y); }

void fp_dot4_add_adx(fp *r, const fp *x, const fp *y, const fp *addend) { fp_dot4_add_portable(r, x, y, addend); }

void fp_dot6_adx(fp *r, const fp *x, const fp *y) { fp_dot6_portable(r, x, y); }

#endif
