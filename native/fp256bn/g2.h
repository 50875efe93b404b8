// The points of order n on the twist E': y² = x³ + 3(1 + i) over Fp2. Only public points: times depend on them.
#pragma once
#include "fp2.h"

// 04 ‖ x.a ‖ x.b ‖ y.a ‖ y.b, 129 bytes: tag, range, curve equation and subgroup checked, false otherwise (ecdaa.md §2).
bool g2_decode(g2_affine *r, const uint8_t *bytes);
// (conj(x)·PSI_X, conj(y)·PSI_Y): multiplication by p on the subgroup.
void g2_psi(g2_affine *r, const g2_affine *p);
