// 2176 bytes of state, 3072 of temporaries, 7 kernels
// 8×16 · 16×32: temporary 0 = feed 0 · state 0
// 32×8 · 8×16: temporary 0 = temporary 2048 · feed 0
void dh_product0(const float *a, const float *b, float *c, float *scratch);
void dh_product1(const float *a, const float *b, float *c, float *scratch);
static void dh_k0(const float *restrict p0, const float *restrict p1, const float *restrict p2, float *restrict p3, float *restrict p4) {
  for (int i0 = 0; i0 < 8; i0++) {
    for (int i1 = 0; i1 < 32; i1++) {
      const int v0 = ((i0 * 32) + i1);
      const float v1 = p0[v0];
      const float v2 = p1[i1];
      const float v3 = (v1 + v2);
      const float v4 = ((v3 <= 0e+0f) ? 0e+0f : v3);
      const float v5 = p2[v0];
      const float v6 = (v4 + (v5 * -1e+0f));
      const float v7 = (3.90625e-3f * v6);
      const float v8 = ((v4 == 0e+0f) ? 0e+0f : dh_fma_f32(3.90625e-3f, v6, v7));
      p3[v0] = v6;
      p4[v0] = v8;
    }
  }
}
static void dh_k1(const float *restrict p0, float *restrict p1) {
  float acc0 = 0e+0f;
  #pragma omp simd reduction(+ : acc0)
  for (int r1 = 0; r1 < 256; r1++) {
    const float v0 = p0[r1];
    const float v1 = (v0 * v0);
    acc0 += v1;
  }
  const float v2 = (acc0 * 3.90625e-3f);
  p1[0] = v2;
}
static void dh_k2(const float *restrict p0, float *restrict p1) {
  for (int i1 = 0; i1 < 512; i1++) {
    const float v0 = p0[i1];
    const float v1 = p1[i1];
    const float v2 = dh_fma_f32((v0 * -1e+0f), 1.0000000149011612e-1f, v1);
    p1[i1] = v2;
  }
}
static void dh_k3(const float *restrict p0, float *restrict p1) {
  for (int i1 = 0; i1 < 32; i1++) {
    const float v0 = p0[i1];
    const float v1 = p0[(32 + i1)];
    const float v2 = p0[(64 + i1)];
    const float v3 = p0[(96 + i1)];
    const float v4 = p0[(128 + i1)];
    const float v5 = p0[(160 + i1)];
    const float v6 = p0[(192 + i1)];
    const float v7 = p0[(224 + i1)];
    const float v8 = (((((((v0 + v1) + v2) + v3) + v4) + v5) + v6) + v7);
    p1[i1] = v8;
  }
}
static void dh_k4(const float *restrict p0, float *restrict p1) {
  for (int i0 = 0; i0 < 32; i0++) {
    const float v0 = p0[i0];
    const float v1 = p1[i0];
    const float v2 = dh_fma_f32((v0 * -1e+0f), 1.0000000149011612e-1f, v1);
    p1[i0] = v2;
  }
}
void dh_run(char **memory, double *steps, volatile int *stop) {
  const long n = (long)steps[0];
  long s = 0;
  char *const scratch = memory[2], *const product = scratch + 0;
  const dh_mode before = dh_flush();
  for (; s < n && !*stop; s++) {
    dh_product0((float *)(memory[4] + s * 512L) + 0L, (float *)(memory[0] + 0) + 0L, (float *)(memory[1] + 0) + 0L, (float *)product);
    dh_k0((float *)(memory[1] + 0), (float *)(memory[0] + 2048), (float *)(memory[5] + s * 1024L), (float *)(memory[1] + 1024), (float *)(memory[1] + 2048));
    dh_k1((float *)(memory[1] + 1024), (float *)(memory[6] + s * 4L));
    dh_product1((float *)(memory[1] + 2048) + 0L, (float *)(memory[4] + s * 512L) + 0L, (float *)(memory[1] + 0) + 0L, (float *)product);
    dh_k2((float *)(memory[1] + 0), (float *)(memory[0] + 0));
    dh_k3((float *)(memory[1] + 2048), (float *)(memory[1] + 0));
    dh_k4((float *)(memory[1] + 0), (float *)(memory[0] + 2048));
  }
  dh_restore(before);
  steps[1] = (double)s;
}
