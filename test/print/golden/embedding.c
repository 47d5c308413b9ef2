// 1728 bytes of state, 2112 of temporaries, 9 kernels
// 6×8 · 8×3: temporary 0 = temporary 1600 · state 1600
// 6×3 · 3×8: temporary 1792 = temporary 1984 · state 1600
// 3×6 · 6×8: temporary 0 = temporary 1984 · temporary 1600
void dh_product0(const float *a, const float *b, float *c, float *scratch);
void dh_product1(const float *a, const float *b, float *c, float *scratch);
void dh_product2(const float *a, const float *b, float *c, float *scratch);
static void dh_k0(const float *restrict p0, const int *restrict p1, float *restrict p2) {
  for (int i0 = 0; i0 < 6; i0++) {
    for (int i1 = 0; i1 < 8; i1++) {
      const int v0 = p1[i0];
      const float v1 = p0[((dh_clamp(v0, 49) * 8) + i1)];
      p2[((i0 * 8) + i1)] = v1;
    }
  }
}
static void dh_k1(const float *restrict p0, float *restrict p1, float *restrict p2) {
  for (int i1 = 0; i1 < 18; i1++) {
    const float v0 = p0[i1];
    const unsigned char v1 = (v0 < 0e+0f);
    const float v2 = dh_exp_f32((v1 ? v0 : (v0 * -1e+0f)));
    const float v3 = (v2 + 1e+0f);
    const float v4 = ((v1 ? v2 : 1e+0f) / v3);
    const float v5 = (5.55555559694767e-2f * v4);
    const float v6 = dh_fma_f32(5.55555559694767e-2f, v4, v5);
    const float v7 = (((((v6 * v4) / v3) * -1e+0f) + (v1 ? (v6 / v3) : 0e+0f)) * v2);
    const float v8 = ((v1 ? v7 : 0e+0f) + ((v1 ? 0e+0f : v7) * -1e+0f));
    p1[i1] = v4;
    p2[i1] = v8;
  }
}
static void dh_k2(const float *restrict p0, float *restrict p1) {
  float acc0 = 0e+0f;
  #pragma omp simd reduction(+ : acc0)
  for (int r1 = 0; r1 < 18; r1++) {
    const float v0 = p0[r1];
    const float v1 = (v0 * v0);
    acc0 += v1;
  }
  const float v2 = (acc0 * 5.55555559694767e-2f);
  p1[0] = v2;
}
static void dh_k3(float *restrict p0, const int *restrict p1, const float *restrict p2) {
  for (int z = 0; z < 400; z++) {
    p0[z] = 0e+0f;
  }
  for (int i0 = 0; i0 < 6; i0++) {
    for (int i1 = 0; i1 < 8; i1++) {
      const int v0 = p1[i0];
      const float v1 = p2[((i0 * 8) + i1)];
      p0[((dh_clamp(v0, 49) * 8) + i1)] = (p0[((dh_clamp(v0, 49) * 8) + i1)] + v1);
    }
  }
}
static void dh_k4(const float *restrict p0, float *restrict p1) {
  for (int i1 = 0; i1 < 400; i1++) {
    const float v0 = p0[i1];
    const float v1 = p1[i1];
    const float v2 = dh_fma_f32((v0 * -1e+0f), 1.0000000149011612e-1f, v1);
    p1[i1] = v2;
  }
}
static void dh_k5(const float *restrict p0, float *restrict p1) {
  for (int i1 = 0; i1 < 24; i1++) {
    const float v0 = p0[i1];
    const float v1 = p1[i1];
    const float v2 = dh_fma_f32((v0 * -1e+0f), 1.0000000149011612e-1f, v1);
    p1[i1] = v2;
  }
}
void dh_run(char **memory, double *steps, volatile int *stop) {
  const long n = (long)steps[0];
  long s = 0;
  char *const scratch = memory[2], *const product = scratch + 0;
  const dh_mode before = dh_flush();
  for (; s < n && !*stop; s++) {
    dh_k0((float *)(memory[0] + 0), (int *)(memory[4] + s * 24L), (float *)(memory[1] + 1600));
    dh_product0((float *)(memory[1] + 1600) + 0L, (float *)(memory[0] + 1600) + 0L, (float *)(memory[1] + 0) + 0L, (float *)product);
    dh_k1((float *)(memory[1] + 0), (float *)(memory[1] + 128), (float *)(memory[1] + 1984));
    dh_product1((float *)(memory[1] + 1984) + 0L, (float *)(memory[0] + 1600) + 0L, (float *)(memory[1] + 1792) + 0L, (float *)product);
    dh_k2((float *)(memory[1] + 128), (float *)(memory[5] + s * 4L));
    dh_k3((float *)(memory[1] + 0), (int *)(memory[4] + s * 24L), (float *)(memory[1] + 1792));
    dh_k4((float *)(memory[1] + 0), (float *)(memory[0] + 0));
    dh_product2((float *)(memory[1] + 1984) + 0L, (float *)(memory[1] + 1600) + 0L, (float *)(memory[1] + 0) + 0L, (float *)product);
    dh_k5((float *)(memory[1] + 0), (float *)(memory[0] + 1600));
  }
  dh_restore(before);
  steps[1] = (double)s;
}
