// 896 bytes of state, 12608 of temporaries, 10 kernels
// 7×3·3·3 · 3·3·3×8: temporary 0 = temporary 9984 · temporary 11712
// 7×3·3·8 · 3·3·8×3: temporary 4608 = temporary 0 · temporary 11712
// 8×2·6·7 · 2·6·7×3: temporary 0 = temporary 7296 · temporary 9984
void dh_product0(const float *a, const float *b, float *c, float *scratch);
void dh_product1(const float *a, const float *b, float *c, float *scratch);
void dh_product2(const float *a, const float *b, float *c, float *scratch);
static void dh_k0(const float *restrict p0, float *restrict p1) {
  for (int i4 = 0; i4 < 27; i4++) {
    #pragma GCC unroll 1
    for (int i1 = 0; i1 < 8; i1++) {
      const float v0 = p0[((i1 * 27) + i4)];
      p1[(i1 + (i4 * 8))] = v0;
    }
  }
}
static void dh_k1(const float *restrict p0, float *restrict p1) {
  for (int i1 = 0; i1 < 6; i1++) {
    for (int i2 = 0; i2 < 8; i2++) {
      for (int i3 = 0; i3 < 9; i3++) {
        const int v0 = (i2 + -1);
        const int v1 = (i3 + -1);
        const float v2 = ((((-1 < v0) && (v0 < 6)) && ((-1 < v1) && (v1 < 7))) ? p0[((((i1 * 42) + (i2 * 7)) + i3) + -8)] : 0e+0f);
        p1[(((i1 * 72) + (i2 * 9)) + i3)] = v2;
      }
    }
  }
}
static void dh_k2(const float *restrict p0, const float *restrict p1, float *restrict p2, float *restrict p3) {
  for (int i0 = 0; i0 < 2; i0++) {
    for (int i3 = 0; i3 < 42; i3++) {
      #pragma GCC unroll 1
      for (int i1 = 0; i1 < 8; i1++) {
        const int v0 = (i0 * 336);
        const int v1 = ((v0 + i1) + (i3 * 8));
        const float v2 = p0[v1];
        const float v3 = p1[((v0 + (i1 * 42)) + i3)];
        const float v4 = (v2 + (v3 * -1e+0f));
        const float v5 = (1.4880952658131719e-3f * v4);
        const float v6 = dh_fma_f32(1.4880952658131719e-3f, v4, v5);
        p2[v1] = v4;
        p3[v1] = v6;
      }
    }
  }
}
static void dh_k3(const float *restrict p0, float *restrict p1) {
  for (int i0 = 0; i0 < 2; i0++) {
    for (int i5 = 0; i5 < 8; i5++) {
      for (int i6 = 0; i6 < 9; i6++) {
        for (int i1 = 0; i1 < 8; i1++) {
          const int v0 = (i6 * 8);
          const int v1 = (i5 + -1);
          const int v2 = (i6 + -1);
          const float v3 = ((((-1 < v1) && (v1 < 6)) && ((-1 < v2) && (v2 < 7))) ? p0[(((((i0 * 336) + i1) + (i5 * 56)) + v0) + -64)] : 0e+0f);
          p1[((((i0 * 576) + i1) + (i5 * 72)) + v0)] = v3;
        }
      }
    }
  }
}
static void dh_k4(const float *restrict p0, float *restrict p1) {
  float acc0 = 0e+0f;
  #pragma omp simd reduction(+ : acc0)
  for (int r1 = 0; r1 < 672; r1++) {
    const float v0 = p0[r1];
    const float v1 = (v0 * v0);
    acc0 += v1;
  }
  const float v2 = (acc0 * 1.4880952658131719e-3f);
  p1[0] = v2;
}
static void dh_k5(const float *restrict p0, float *restrict p1) {
  for (int i0 = 0; i0 < 2; i0++) {
    for (int i1 = 0; i1 < 3; i1++) {
      for (int i3 = 0; i3 < 42; i3++) {
        const float v0 = p0[(((i0 * 42) + (i1 * 84)) + i3)];
        p1[(((i0 * 126) + (i1 * 42)) + i3)] = v0;
      }
    }
  }
}
static void dh_k6(const float *restrict p0, float *restrict p1) {
  for (int i0 = 0; i0 < 8; i0++) {
    #pragma GCC unroll 1
    for (int i3 = 0; i3 < 27; i3++) {
      const float v0 = p0[(i0 + (i3 * 8))];
      const int v1 = ((i0 * 27) + i3);
      const float v2 = p1[v1];
      const float v3 = dh_fma_f32((v0 * -1e+0f), 1.0000000149011612e-1f, v2);
      p1[v1] = v3;
    }
  }
}
void dh_run(char **memory, double *steps, volatile int *stop) {
  const long n = (long)steps[0];
  long s = 0;
  char *const scratch = memory[2], *const product = scratch + 0;
  const dh_mode before = dh_flush();
  for (; s < n && !*stop; s++) {
    dh_k0((float *)(memory[0] + 0), (float *)(memory[1] + 11712));
    dh_k1((float *)(memory[4] + s * 1008L), (float *)(memory[1] + 9984));
    for (int i0 = 0; i0 < 2; i0++) { for (int i5 = 0; i5 < 6; i5++) { dh_product0((float *)(memory[1] + 9984) + ((i0 * 216L) + (i5 * 9L)), (float *)(memory[1] + 11712) + 0L, (float *)(memory[1] + 0) + ((i0 * 336L) + (i5 * 56L)), (float *)product); } }
    dh_k2((float *)(memory[1] + 0), (float *)(memory[5] + s * 2688L), (float *)(memory[1] + 4608), (float *)(memory[1] + 7296));
    dh_k3((float *)(memory[1] + 7296), (float *)(memory[1] + 0));
    dh_k4((float *)(memory[1] + 4608), (float *)(memory[6] + s * 4L));
    for (int i0 = 0; i0 < 2; i0++) { for (int i5 = 0; i5 < 6; i5++) { dh_product1((float *)(memory[1] + 0) + ((i0 * 576L) + (i5 * 72L)), (float *)(memory[1] + 11712) + 64L, (float *)(memory[1] + 4608) + ((i0 * 42L) + (i5 * 7L)), (float *)product); } }
    dh_k5((float *)(memory[1] + 4608), (float *)(memory[7] + s * 1008L));
    for (int i2 = 0; i2 < 3; i2++) { dh_product2((float *)(memory[1] + 9984) + ((i2 * 72L) + (0 * 9L)), (float *)(memory[1] + 7296) + 0L, (float *)(memory[1] + 0) + ((i2 * 72L) + (0 * 24L)), (float *)product); }
    dh_k6((float *)(memory[1] + 0), (float *)(memory[0] + 0));
  }
  dh_restore(before);
  steps[1] = (double)s;
}
