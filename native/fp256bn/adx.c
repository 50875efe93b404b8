// Multiplication in Fp and Fp2 with mulx, adcx and adox: two independent carry chains, so that a row of a product does not wait
// for itself. Straight-line code without branches or tables.
#include "fp2.h"

#if defined(__x86_64__) && !defined(FP256BN_PORTABLE)

// A number below p·2^256 on its way to a field element.
typedef struct { uint64_t limb[8]; } wide;

#define FIRST_ROW(t0, t1, t2, t3, top)          \
  "movq 0(%[y]), %%rdx\n\t"                     \
  "mulxq 0(%[x]), %[" #t0 "], %[" #t1 "]\n\t"   \
  "mulxq 8(%[x]), %[lo], %[" #t2 "]\n\t"        \
  "addq %[lo], %[" #t1 "]\n\t"                  \
  "mulxq 16(%[x]), %[lo], %[" #t3 "]\n\t"       \
  "adcq %[lo], %[" #t2 "]\n\t"                  \
  "mulxq 24(%[x]), %[lo], %[" #top "]\n\t"      \
  "adcq %[lo], %[" #t3 "]\n\t"                  \
  "adcq $0, %[" #top "]\n\t"

// t0 ... t4 += x·yi. The first chain's carry goes into t4; the second's is left in the overflow flag, which `fresh` starts
// as zero for. lo ends as zero.
#define ROW(offset, t0, t1, t2, t3, t4, fresh)  \
  "movq " #offset "(%[y]), %%rdx\n\t"           \
  "xorl %k[" #fresh "], %k[" #fresh "]\n\t"     \
  "mulxq 0(%[x]), %[lo], %[hi]\n\t"             \
  "adcxq %[lo], %[" #t0 "]\n\t"                 \
  "adoxq %[hi], %[" #t1 "]\n\t"                 \
  "mulxq 8(%[x]), %[lo], %[hi]\n\t"             \
  "adcxq %[lo], %[" #t1 "]\n\t"                 \
  "adoxq %[hi], %[" #t2 "]\n\t"                 \
  "mulxq 16(%[x]), %[lo], %[hi]\n\t"            \
  "adcxq %[lo], %[" #t2 "]\n\t"                 \
  "adoxq %[hi], %[" #t3 "]\n\t"                 \
  "mulxq 24(%[x]), %[lo], %[hi]\n\t"            \
  "adcxq %[lo], %[" #t3 "]\n\t"                 \
  "adoxq %[hi], %[" #t4 "]\n\t"                 \
  "movl $0, %k[lo]\n\t"                         \
  "adcxq %[lo], %[" #t4 "]\n\t"

// t0 ... t4 += m·p with m such that t0 becomes zero; both carries are left in their flags.
#define REDUCTION(t0, t1, t2, t3, t4)           \
  "movq %[inverse], %%rdx\n\t"                  \
  "imulq %[" #t0 "], %%rdx\n\t"                 \
  "xorl %k[lo], %k[lo]\n\t"                     \
  "mulxq 0+%[p], %[lo], %[hi]\n\t"              \
  "adcxq %[lo], %[" #t0 "]\n\t"                 \
  "adoxq %[hi], %[" #t1 "]\n\t"                 \
  "mulxq 8+%[p], %[lo], %[hi]\n\t"              \
  "adcxq %[lo], %[" #t1 "]\n\t"                 \
  "adoxq %[hi], %[" #t2 "]\n\t"                 \
  "mulxq 16+%[p], %[lo], %[hi]\n\t"             \
  "adcxq %[lo], %[" #t2 "]\n\t"                 \
  "adoxq %[hi], %[" #t3 "]\n\t"                 \
  "mulxq 24+%[p], %[lo], %[hi]\n\t"             \
  "adcxq %[lo], %[" #t3 "]\n\t"                 \
  "adoxq %[hi], %[" #t4 "]\n\t"

// (carry, t3 ... t0) minus p unless that is negative.
#define SUBTRACT_ORDER(t0, t1, t2, t3, carry, s0, s1, s2) \
  "movq %[" #t0 "], %[" #s0 "]\n\t"             \
  "movq %[" #t1 "], %[" #s1 "]\n\t"             \
  "movq %[" #t2 "], %[" #s2 "]\n\t"             \
  "movq %[" #t3 "], %%rdx\n\t"                  \
  "subq 0+%[p], %[" #t0 "]\n\t"                 \
  "sbbq 8+%[p], %[" #t1 "]\n\t"                 \
  "sbbq 16+%[p], %[" #t2 "]\n\t"                \
  "sbbq 24+%[p], %[" #t3 "]\n\t"                \
  "sbbq $0, %[" #carry "]\n\t"                  \
  "cmovcq %[" #s0 "], %[" #t0 "]\n\t"           \
  "cmovcq %[" #s1 "], %[" #t1 "]\n\t"           \
  "cmovcq %[" #s2 "], %[" #t2 "]\n\t"           \
  "cmovcq %%rdx, %[" #t3 "]\n\t"

static inline void wide_multiply(wide *r, const fp *x, const fp *y) {
  uint64_t t0, t1, t2, t3, t4, t5, t6, t7, lo, hi;
  __asm__(
      FIRST_ROW(t0, t1, t2, t3, t4)
      ROW(8, t1, t2, t3, t4, t5, t5)
      ROW(16, t2, t3, t4, t5, t6, t6)
      ROW(24, t3, t4, t5, t6, t7, t7)
      : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5), [t6] "=&r"(t6),
        [t7] "=&r"(t7), [lo] "=&r"(lo), [hi] "=&r"(hi)
      : [x] "r"(x), [y] "r"(y), "m"(*x), "m"(*y)
      : "rdx", "cc");
  *r = (wide){{t0, t1, t2, t3, t4, t5, t6, t7}};
}

// A reduction of a whole product: the carry beyond t4 is left in t0, the one of the row before comes in as `carry`.
#define WIDE_REDUCTION(t0, t1, t2, t3, t4, carry) \
  REDUCTION(t0, t1, t2, t3, t4)                 \
  "movl $0, %k[lo]\n\t"                         \
  "adcxq %[" #carry "], %[" #t4 "]\n\t"         \
  "adcxq %[lo], %[" #t0 "]\n\t"                 \
  "adoxq %[lo], %[" #t0 "]\n\t"

// t/2^256 mod p. The result before the last subtraction is below 2p.
static inline void wide_reduce(fp *r, const wide *t) {
  uint64_t t0 = t->limb[0], t1 = t->limb[1], t2 = t->limb[2], t3 = t->limb[3];
  uint64_t t4 = t->limb[4], t5 = t->limb[5], t6 = t->limb[6], t7 = t->limb[7], lo, hi;
  __asm__(
      WIDE_REDUCTION(t0, t1, t2, t3, t4, lo)
      WIDE_REDUCTION(t1, t2, t3, t4, t5, t0)
      WIDE_REDUCTION(t2, t3, t4, t5, t6, t1)
      WIDE_REDUCTION(t3, t4, t5, t6, t7, t2)
      SUBTRACT_ORDER(t4, t5, t6, t7, t3, lo, hi, t0)
      : [t0] "+&r"(t0), [t1] "+&r"(t1), [t2] "+&r"(t2), [t3] "+&r"(t3), [t4] "+&r"(t4), [t5] "+&r"(t5), [t6] "+&r"(t6),
        [t7] "+&r"(t7), [lo] "=&r"(lo), [hi] "=&r"(hi)
      : [p] "m"(*(const fp *)FIELD_ORDER), [inverse] "m"(FIELD_INVERSE)
      : "rdx", "cc");
  *r = (fp){{t4, t5, t6, t7}};
}

// r = x - y mod p·2^256.
static inline void wide_subtract(wide *r, const wide *x, const wide *y) {
  uint64_t t0 = x->limb[0], t1 = x->limb[1], t2 = x->limb[2], t3 = x->limb[3];
  uint64_t t4 = x->limb[4], t5 = x->limb[5], t6 = x->limb[6], t7 = x->limb[7], m0, m1, m2;
  __asm__(
      "subq 0(%[y]), %[t0]\n\t"
      "sbbq 8(%[y]), %[t1]\n\t"
      "sbbq 16(%[y]), %[t2]\n\t"
      "sbbq 24(%[y]), %[t3]\n\t"
      "sbbq 32(%[y]), %[t4]\n\t"
      "sbbq 40(%[y]), %[t5]\n\t"
      "sbbq 48(%[y]), %[t6]\n\t"
      "sbbq 56(%[y]), %[t7]\n\t"
      "sbbq %[m0], %[m0]\n\t"
      "movq %[m0], %[m1]\n\t"
      "movq %[m0], %[m2]\n\t"
      "movq %[m0], %%rdx\n\t"
      "andq 0+%[p], %[m0]\n\t"
      "andq 8+%[p], %[m1]\n\t"
      "andq 16+%[p], %[m2]\n\t"
      "andq 24+%[p], %%rdx\n\t"
      "addq %[m0], %[t4]\n\t"
      "adcq %[m1], %[t5]\n\t"
      "adcq %[m2], %[t6]\n\t"
      "adcq %%rdx, %[t7]\n\t"
      : [t0] "+&r"(t0), [t1] "+&r"(t1), [t2] "+&r"(t2), [t3] "+&r"(t3), [t4] "+&r"(t4), [t5] "+&r"(t5), [t6] "+&r"(t6),
        [t7] "+&r"(t7), [m0] "=&r"(m0), [m1] "=&r"(m1), [m2] "=&r"(m2)
      : [y] "r"(y), "m"(*y), [p] "m"(*(const fp *)FIELD_ORDER)
      : "rdx", "cc");
  *r = (wide){{t0, t1, t2, t3, t4, t5, t6, t7}};
}

// One row of a product that is reduced as it grows: t1 ... t5 += x·yi, with the carry in `top`.
#define MONTGOMERY_ROW(offset, t1, t2, t3, t4, t5, top) \
  ROW(offset, t1, t2, t3, t4, t5, top)          \
  "adoxq %[lo], %[" #top "]\n\t"                \
  "adcq $0, %[" #top "]\n\t"

// Adds m·p so that t0 becomes zero; t1 ... t5 are the next sum.
#define MONTGOMERY_REDUCTION(t0, t1, t2, t3, t4, t5) \
  REDUCTION(t0, t1, t2, t3, t4)                 \
  "adcxq %[" #t0 "], %[" #t4 "]\n\t"            \
  "adoxq %[" #t0 "], %[" #t5 "]\n\t"            \
  "adcq $0, %[" #t5 "]\n\t"

void fp_mul_adx(fp *r, const fp *x, const fp *y) {
  uint64_t t0, t1, t2, t3, t4, t5, lo, hi;
  __asm__(
      FIRST_ROW(t0, t1, t2, t3, t4)
      "movl $0, %k[t5]\n\t"
      MONTGOMERY_REDUCTION(t0, t1, t2, t3, t4, t5)
      MONTGOMERY_ROW(8, t1, t2, t3, t4, t5, t0)
      MONTGOMERY_REDUCTION(t1, t2, t3, t4, t5, t0)
      MONTGOMERY_ROW(16, t2, t3, t4, t5, t0, t1)
      MONTGOMERY_REDUCTION(t2, t3, t4, t5, t0, t1)
      MONTGOMERY_ROW(24, t3, t4, t5, t0, t1, t2)
      MONTGOMERY_REDUCTION(t3, t4, t5, t0, t1, t2)
      SUBTRACT_ORDER(t4, t5, t0, t1, t2, lo, hi, t3)
      : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5), [lo] "=&r"(lo),
        [hi] "=&r"(hi)
      : [x] "r"(x), [y] "r"(y), "m"(*x), "m"(*y), [p] "m"(*(const fp *)FIELD_ORDER), [inverse] "m"(FIELD_INVERSE)
      : "rdx", "cc");
  *r = (fp){{t4, t5, t0, t1}};
}

// t7 … t0 = x²: the products of different limbs, doubled in one chain while the squares are added in the other.
#define SQUARE                                  \
  "movq 0(%[x]), %%rdx\n\t"                     \
  "mulxq 8(%[x]), %[t1], %[t2]\n\t"             \
  "mulxq 16(%[x]), %[lo], %[t3]\n\t"            \
  "addq %[lo], %[t2]\n\t"                       \
  "mulxq 24(%[x]), %[lo], %[t4]\n\t"            \
  "adcq %[lo], %[t3]\n\t"                       \
  "adcq $0, %[t4]\n\t"                          \
  "movq 8(%[x]), %%rdx\n\t"                     \
  "xorl %k[t5], %k[t5]\n\t"                     \
  "mulxq 16(%[x]), %[lo], %[hi]\n\t"            \
  "adcxq %[lo], %[t3]\n\t"                      \
  "adoxq %[hi], %[t4]\n\t"                      \
  "mulxq 24(%[x]), %[lo], %[hi]\n\t"            \
  "adcxq %[lo], %[t4]\n\t"                      \
  "adoxq %[hi], %[t5]\n\t"                      \
  "movl $0, %k[t7]\n\t"                         \
  "adcxq %[t7], %[t5]\n\t"                      \
  "movq 16(%[x]), %%rdx\n\t"                    \
  "mulxq 24(%[x]), %[lo], %[t6]\n\t"            \
  "addq %[lo], %[t5]\n\t"                       \
  "adcq $0, %[t6]\n\t"                          \
  "movq 0(%[x]), %%rdx\n\t"                     \
  "xorl %k[t7], %k[t7]\n\t"                     \
  "mulxq %%rdx, %[t0], %[hi]\n\t"               \
  "adoxq %[t1], %[t1]\n\t"                      \
  "adcxq %[hi], %[t1]\n\t"                      \
  "movq 8(%[x]), %%rdx\n\t"                     \
  "mulxq %%rdx, %[lo], %[hi]\n\t"               \
  "adoxq %[t2], %[t2]\n\t"                      \
  "adcxq %[lo], %[t2]\n\t"                      \
  "adoxq %[t3], %[t3]\n\t"                      \
  "adcxq %[hi], %[t3]\n\t"                      \
  "movq 16(%[x]), %%rdx\n\t"                    \
  "mulxq %%rdx, %[lo], %[hi]\n\t"               \
  "adoxq %[t4], %[t4]\n\t"                      \
  "adcxq %[lo], %[t4]\n\t"                      \
  "adoxq %[t5], %[t5]\n\t"                      \
  "adcxq %[hi], %[t5]\n\t"                      \
  "movq 24(%[x]), %%rdx\n\t"                    \
  "mulxq %%rdx, %[lo], %[hi]\n\t"               \
  "adoxq %[t6], %[t6]\n\t"                      \
  "adcxq %[lo], %[t6]\n\t"                      \
  "adoxq %[t7], %[t7]\n\t"                      \
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

// Karatsuba with the reductions last: three products, two reductions.
void fp2_mul_adx(fp2 *r, const fp2 *x, const fp2 *y) {
  fp x_sum, y_sum;
  wide real, imaginary, cross;
  fp_add(&x_sum, &x->a, &x->b);
  fp_add(&y_sum, &y->a, &y->b);
  wide_multiply(&real, &x->a, &y->a);
  wide_multiply(&imaginary, &x->b, &y->b);
  wide_multiply(&cross, &x_sum, &y_sum);
  wide_subtract(&cross, &cross, &real);
  wide_subtract(&cross, &cross, &imaginary);
  wide_subtract(&real, &real, &imaginary);
  wide_reduce(&r->b, &cross);
  wide_reduce(&r->a, &real);
}

#else

// Never called: fp_choose() refuses.
void fp_mul_adx(fp *r, const fp *x, const fp *y) {
  montgomery_multiply(r->limb, x->limb, y->limb, FIELD_ORDER, FIELD_INVERSE);
}

void fp_sqr_adx(fp *r, const fp *x) { fp_mul_adx(r, x, x); }

void fp2_mul_adx(fp2 *r, const fp2 *x, const fp2 *y) { fp2_mul_portable(r, x, y); }

#endif
