// 704 bytes of state, 1088 of temporaries, 11 kernels
// 8×16 · 16×10: temporary 0 = feed 0 · state 0
// 10×8 · 8×16: temporary 0 = temporary 640 · feed 0
void dh_k3(const float *restrict p0, const int *restrict p1, const float *restrict p2, const float *restrict p3, const float *restrict p4, const float *restrict p5, float *restrict p6, float *restrict p7) {
  for (int i0 = 0; i0 < 8; i0++) {
    float acc0 = 0e+0f;
    #pragma omp simd reduction(+ : acc0)
    for (int r1 = 0; r1 < 10; r1++) {
      const int v0 = ((i0 * 10) + r1);
      const float v1 = p0[v0];
      acc0 += v1;
    }
    const int v2 = p1[i0];
    const float v6 = p4[i0];
    float acc1 = 0e+0f;
    #pragma omp simd reduction(+ : acc1)
    for (int r1 = 0; r1 < 10; r1++) {
      const int v3 = ((i0 * 10) + r1);
      const float v4 = p2[v3];
      const float v5 = p3[r1];
      const float v7 = ((v2 == r1) ? (((v4 + v5) + v6) + (dh_log_f32(acc0) * -1e+0f)) : 0e+0f);
      acc1 += v7;
    }
    const float v8 = p5[i0];
    const float v9 = ((v8 * -1e+0f) / acc0);
    p6[i0] = acc1;
    p7[i0] = v9;
  }
}
void dh_k7(const float *restrict p0, float *restrict p1) {
  for (int i1 = 0; i1 < 10; i1++) {
    const float v0 = p0[i1];
    const float v1 = p0[(10 + i1)];
    const float v2 = p0[(20 + i1)];
    const float v3 = p0[(30 + i1)];
    const float v4 = p0[(40 + i1)];
    const float v5 = p0[(50 + i1)];
    const float v6 = p0[(60 + i1)];
    const float v7 = p0[(70 + i1)];
    const float v8 = (((((((v0 + v1) + v2) + v3) + v4) + v5) + v6) + v7);
    p1[i1] = v8;
  }
}
void dh_k1(const float *restrict p0, const float *restrict p1, const float *restrict p2, float *restrict p3) {
  for (int i0 = 0; i0 < 8; i0++) {
    for (int i1 = 0; i1 < 10; i1++) {
      const int v0 = ((i0 * 10) + i1);
      const float v1 = p0[v0];
      const float v2 = p1[i1];
      const float v3 = p2[i0];
      const float v4 = dh_exp_f32(((v1 + v2) + v3));
      p3[v0] = v4;
    }
  }
}
void dh_k6(const float *restrict p0, float *restrict p1) {
  for (int i1 = 0; i1 < 160; i1++) {
    const float v0 = p0[i1];
    const float v1 = p1[i1];
    const float v2 = dh_fma_f32((v0 * -1e+0f), 1.0000000149011612e-1f, v1);
    p1[i1] = v2;
  }
}
void dh_k0(const float *restrict p0, const float *restrict p1, float *restrict p2) {
  for (int i0 = 0; i0 < 8; i0++) {
    float acc0 = -__builtin_inff();
    int nan_acc0 = 0;
    #pragma omp simd reduction(max : acc0) reduction(| : nan_acc0)
    for (int r1 = 0; r1 < 10; r1++) {
      const float v0 = p0[((i0 * 10) + r1)];
      const float v1 = p1[r1];
      const float v2 = (v0 + v1);
      acc0 = acc0 > v2 ? acc0 : v2; nan_acc0 |= v2 != v2;
    }
    acc0 = nan_acc0 ? __builtin_nanf("") : acc0;
    const float v3 = (((dh_max_f32(acc0, (acc0 * -1e+0f)) == __builtin_inff()) ? 0e+0f : acc0) * -1e+0f);
    p2[i0] = v3;
  }
}
void dh_k2(float *restrict p0, const int *restrict p1) {
  for (int z = 0; z < 8; z++) {
    p0[z] = 0e+0f;
  }
  for (int r1 = 0; r1 < 2; r1++) {
    for (int i0 = 0; i0 < 8; i0++) {
      const int v0 = p1[i0];
      const int v1 = (r1 * 5);
      p0[i0] = (p0[i0] + ((((((v0 == v1) ? -1.25e-1f : 0e+0f) + ((v0 == (v1 + 1)) ? -1.25e-1f : 0e+0f)) + ((v0 == (v1 + 2)) ? -1.25e-1f : 0e+0f)) + ((v0 == (v1 + 3)) ? -1.25e-1f : 0e+0f)) + ((v0 == (v1 + 4)) ? -1.25e-1f : 0e+0f)));
    }
  }
}
void dh_k4(const float *restrict p0, const float *restrict p1, const int *restrict p2, float *restrict p3) {
  for (int i0 = 0; i0 < 8; i0++) {
    for (int i1 = 0; i1 < 10; i1++) {
      const float v0 = p0[i0];
      const int v1 = ((i0 * 10) + i1);
      const float v2 = p1[v1];
      const int v3 = p2[i0];
      const float v4 = dh_fma_f32(v0, v2, ((v3 == i1) ? -1.25e-1f : 0e+0f));
      p3[v1] = v4;
    }
  }
}
void dh_k5(const float *restrict p0, float *restrict p1) {
  float acc0 = 0e+0f;
  #pragma omp simd reduction(+ : acc0)
  for (int r0 = 0; r0 < 8; r0++) {
    const float v0 = p0[r0];
    acc0 += v0;
  }
  const float v1 = ((acc0 * 1.25e-1f) * -1e+0f);
  p1[0] = v1;
}
void dh_k8(const float *restrict p0, float *restrict p1) {
  for (int i0 = 0; i0 < 10; i0++) {
    const float v0 = p0[i0];
    const float v1 = p1[i0];
    const float v2 = dh_fma_f32((v0 * -1e+0f), 1.0000000149011612e-1f, v1);
    p1[i0] = v2;
  }
}
void dh_product0(const float *a, const float *b, float *c, float *scratch);
void dh_product1(const float *a, const float *b, float *c, float *scratch);
void dh_k0(const float *restrict p0, const float *restrict p1, float *restrict p2);
void dh_k1(const float *restrict p0, const float *restrict p1, const float *restrict p2, float *restrict p3);
void dh_k2(float *restrict p0, const int *restrict p1);
void dh_k3(const float *restrict p0, const int *restrict p1, const float *restrict p2, const float *restrict p3, const float *restrict p4, const float *restrict p5, float *restrict p6, float *restrict p7);
void dh_k4(const float *restrict p0, const float *restrict p1, const int *restrict p2, float *restrict p3);
void dh_k5(const float *restrict p0, float *restrict p1);
void dh_k6(const float *restrict p0, float *restrict p1);
void dh_k7(const float *restrict p0, float *restrict p1);
void dh_k8(const float *restrict p0, float *restrict p1);
void dh_run(char **memory, double *steps, volatile int *stop) {
  const long n = (long)steps[0];
  long s = 0;
  char *const scratch = memory[2], *const product = scratch + 0;
  const dh_mode before = dh_flush();
  for (; s < n && !*stop; s++) {
    dh_product0((float *)(memory[4] + s * 512L) + 0L, (float *)(memory[0] + 0) + 0L, (float *)(memory[1] + 0) + 0L, (float *)product);
    dh_k0((float *)(memory[1] + 0), (float *)(memory[0] + 640), (float *)(memory[1] + 640));
    dh_k1((float *)(memory[1] + 0), (float *)(memory[0] + 640), (float *)(memory[1] + 640), (float *)(memory[1] + 320));
    dh_k2((float *)(memory[1] + 704), (int *)(memory[5] + s * 32L));
    dh_k3((float *)(memory[1] + 320), (int *)(memory[5] + s * 32L), (float *)(memory[1] + 0), (float *)(memory[0] + 640), (float *)(memory[1] + 640), (float *)(memory[1] + 704), (float *)(memory[1] + 960), (float *)(memory[1] + 1024));
    dh_k4((float *)(memory[1] + 1024), (float *)(memory[1] + 320), (int *)(memory[5] + s * 32L), (float *)(memory[1] + 640));
    dh_k5((float *)(memory[1] + 960), (float *)(memory[6] + s * 4L));
    dh_product1((float *)(memory[1] + 640) + 0L, (float *)(memory[4] + s * 512L) + 0L, (float *)(memory[1] + 0) + 0L, (float *)product);
    dh_k6((float *)(memory[1] + 0), (float *)(memory[0] + 0));
    dh_k7((float *)(memory[1] + 640), (float *)(memory[1] + 0));
    dh_k8((float *)(memory[1] + 0), (float *)(memory[0] + 640));
  }
  dh_restore(before);
  steps[1] = (double)s;
}
