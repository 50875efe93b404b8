// Switches AVX-512 IFMA on for the rest of a file.
#pragma once
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512ifma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512ifma")
#endif
