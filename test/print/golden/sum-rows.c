// 0 bytes of state, 448 of temporaries, 3 kernels
static void dh_k0(const float *restrict p0, float *restrict p1) {
  for (int i0 = 0; i0 < 64; i0++) {
    float acc0 = 0e+0f;
    #pragma omp simd reduction(+ : acc0)
    for (int r1 = 0; r1 < 100; r1++) {
      const float v0 = p0[((i0 * 100) + r1)];
      const float v1 = (v0 * v0);
      acc0 += v1;
    }
    p1[i0] = acc0;
  }
}
static void dh_k1(float *restrict p0, const float *restrict p1) {
  for (int z = 0; z < 100; z++) {
    p0[z] = 0e+0f;
  }
  for (int r0 = 0; r0 < 16; r0++) {
    for (int i1 = 0; i1 < 100; i1++) {
      const int v0 = (r0 * 400);
      const float v1 = p1[(v0 + i1)];
      const float v2 = p1[((v0 + 100) + i1)];
      const float v3 = p1[((v0 + 200) + i1)];
      const float v4 = p1[((v0 + 300) + i1)];
      p0[i1] = (p0[i1] + (((v1 + v2) + v3) + v4));
    }
  }
}
static void dh_k2(const float *restrict p0, float *restrict p1) {
  for (int i0 = 0; i0 < 100; i0++) {
    const float v0 = p0[i0];
    p1[i0] = v0;
  }
}
void dh_run(char **memory, double *steps, volatile int *stop) {
  const long n = (long)steps[0];
  long s = 0;
  const dh_mode before = dh_flush();
  for (; s < n && !*stop; s++) {
    dh_k0((float *)(memory[4] + s * 25600L), (float *)(memory[5] + s * 256L));
    dh_k1((float *)(memory[1] + 0), (float *)(memory[4] + s * 25600L));
    dh_k2((float *)(memory[1] + 0), (float *)(memory[6] + s * 400L));
  }
  dh_restore(before);
  steps[1] = (double)s;
}
