// The sums of dot.h with mulx, adcx and adox: two independent carry chains in a row, both of which start anew with each row: a row that
// took its flags from the one before would wait for it. Straight-line code without branches or tables.
#include "dot.h"

#if defined(__x86_64__) && !defined(FP256BN_PORTABLE)

// t0 … t5 += x[j]·(limb i of y[j]). The upper limb of a product is at most 2^64 − 2: it takes the carry of the chain below.
#define ROW(j, i, t0, t1, t2, t3, t4, t5)                                    \
  "movq 32*" #j "+8*" #i "(%[y]), %%rdx\n\t"                                 \
  "xorl %k[lo], %k[lo]\n\t"                                                 \
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

// t0 … t5 += m·p with m such that t0 becomes zero: the sixth limb of the next rows.
#define REDUCTION(t0, t1, t2, t3, t4, t5)                                    \
  "movq %[" #t0 "], %%rdx\n\t"                                               \
  "mulxq %[inverse], %%rdx, %[hi]\n\t"                                       \
  "xorl %k[lo], %k[lo]\n\t"                                                 \
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
  "adcxq %[lo], %[" #t3 "]\n\t"                                              \
  "adcxq %[zero], %[hi]\n\t"                                                 \
  "adoxq %[hi], %[" #t4 "]\n\t"                                              \
  "adoxq %[zero], %[" #t5 "]\n\t"

// (t2, t1, t0, t5, t4) += the addend.
#define ADD_ADDEND                                                           \
  "addq 0(%[addend]), %[t4]\n\t"                                             \
  "adcq 8(%[addend]), %[t5]\n\t"                                             \
  "adcq 16(%[addend]), %[t0]\n\t"                                            \
  "adcq 24(%[addend]), %[t1]\n\t"                                            \
  "adcq $0, %[t2]\n\t"                                                       \
  "xorl %k[zero], %k[zero]\n\t"

// Brings (t2, t1, t0, t5, t4) below p: t2·FP_ONE in place of t2·2^256, then p is subtracted unless that is negative.
#define BELOW_ORDER                                                          \
  "movq %[t2], %%rdx\n\t"                                                    \
  "movl $0, %k[t2]\n\t"                                                      \
  "mulxq 0+%[one], %[lo], %[hi]\n\t"                                         \
  "adcxq %[lo], %[t4]\n\t"                                                   \
  "adoxq %[hi], %[t5]\n\t"                                                   \
  "mulxq 8+%[one], %[lo], %[hi]\n\t"                                         \
  "adcxq %[lo], %[t5]\n\t"                                                   \
  "adoxq %[hi], %[t0]\n\t"                                                   \
  "mulxq 16+%[one], %[lo], %[hi]\n\t"                                        \
  "adcxq %[lo], %[t0]\n\t"                                                   \
  "adoxq %[hi], %[t1]\n\t"                                                   \
  "mulxq 24+%[one], %[lo], %[hi]\n\t"                                        \
  "adcxq %[lo], %[t1]\n\t"                                                   \
  "adcxq %[zero], %[t2]\n\t"                                                 \
  "adoxq %[zero], %[t2]\n\t"                                                 \
  "movq %[t4], %[lo]\n\t"                                                    \
  "movq %[t5], %[hi]\n\t"                                                    \
  "movq %[t0], %[t3]\n\t"                                                    \
  "movq %[t1], %%rdx\n\t"                                                    \
  "subq 0+%[p], %[t4]\n\t"                                                   \
  "sbbq 8+%[p], %[t5]\n\t"                                                   \
  "sbbq 16+%[p], %[t0]\n\t"                                                  \
  "sbbq 24+%[p], %[t1]\n\t"                                                  \
  "sbbq $0, %[t2]\n\t"                                                       \
  "cmovcq %[lo], %[t4]\n\t"                                                  \
  "cmovcq %[hi], %[t5]\n\t"                                                  \
  "cmovcq %[t3], %[t0]\n\t"                                                  \
  "cmovcq %%rdx, %[t1]\n\t"

#define MORE2(i, ...) ROW(1, i, __VA_ARGS__) REDUCTION(__VA_ARGS__)
#define MORE3(i, ...) ROW(1, i, __VA_ARGS__) ROW(2, i, __VA_ARGS__) REDUCTION(__VA_ARGS__)
#define MORE4(i, ...) ROW(1, i, __VA_ARGS__) ROW(2, i, __VA_ARGS__) ROW(3, i, __VA_ARGS__) REDUCTION(__VA_ARGS__)
#define MORE6(i, ...) ROW(1, i, __VA_ARGS__) ROW(2, i, __VA_ARGS__) ROW(3, i, __VA_ARGS__) ROW(4, i, __VA_ARGS__) \
  ROW(5, i, __VA_ARGS__) REDUCTION(__VA_ARGS__)
#define ROWS(more, i, ...) ROW(0, i, __VA_ARGS__) more(i, __VA_ARGS__)
#define ALL_ROWS(more)                                                       \
  FIRST_ROW more(0, t0, t1, t2, t3, t4, t5)                                  \
  ROWS(more, 1, t1, t2, t3, t4, t5, t0)                                      \
  ROWS(more, 2, t2, t3, t4, t5, t0, t1)                                      \
  ROWS(more, 3, t3, t4, t5, t0, t1, t2)

#define LIMBS                                                                                                      \
  [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5), [lo] "=&r"(lo),  \
      [hi] "=&r"(hi), [zero] "=&r"(zero)
#define OPERANDS(count)                                                                                            \
  [x] "r"(x), [y] "r"(y), "m"(*(const fp(*)[count])x), "m"(*(const fp(*)[count])y),                                \
      [p] "m"(*(const fp *)FIELD_ORDER), [one] "m"(FP_ONE), [inverse] "m"(FIELD_INVERSE)

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
void fp_dot2_adx(fp *r, const fp *x, const fp *y) { fp_dot2_portable(r, x, y); }

void fp_dot3_adx(fp *r, const fp *x, const fp *y) { fp_dot3_portable(r, x, y); }

void fp_dot4_add_adx(fp *r, const fp *x, const fp *y, const fp *addend) { fp_dot4_add_portable(r, x, y, addend); }

void fp_dot6_adx(fp *r, const fp *x, const fp *y) { fp_dot6_portable(r, x, y); }

#endif
