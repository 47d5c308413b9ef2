// 0 bytes of state, 384 of temporaries, 4 kernels
static void dh_k0(const float *restrict p0, float *restrict p1) {
  for (int i0 = 0; i0 < 8; i0++) {
    float acc0 = -__builtin_inff();
    int nan_acc0 = 0;
    #pragma omp simd reduction(max : acc0) reduction(| : nan_acc0)
    for (int r1 = 0; r1 < 10; r1++) {
      const float v0 = p0[((i0 * 10) + r1)];
      acc0 = acc0 > v0 ? acc0 : v0; nan_acc0 |= v0 != v0;
    }
    acc0 = nan_acc0 ? __builtin_nanf("") : acc0;
    p1[i0] = acc0;
  }
}
static void dh_k1(const float *restrict p0, const float *restrict p1, float *restrict p2) {
  for (int i0 = 0; i0 < 8; i0++) {
    for (int i1 = 0; i1 < 10; i1++) {
      const int v0 = ((i0 * 10) + i1);
      const float v1 = p0[v0];
      const float v2 = p1[i0];
      const float v3 = dh_exp_f32((v1 + (((dh_max_f32(v2, (v2 * -1e+0f)) == __builtin_inff()) ? 0e+0f : v2) * -1e+0f)));
      p2[v0] = v3;
    }
  }
}
static void dh_k2(const float *restrict p0, float *restrict p1) {
  for (int i0 = 0; i0 < 8; i0++) {
    float acc0 = 0e+0f;
    #pragma omp simd reduction(+ : acc0)
    for (int r1 = 0; r1 < 10; r1++) {
      const float v0 = p0[((i0 * 10) + r1)];
      acc0 += v0;
    }
    p1[i0] = acc0;
  }
}
static void dh_k3(const float *restrict p0, const float *restrict p1, float *restrict p2) {
  for (int i0 = 0; i0 < 8; i0++) {
    for (int i1 = 0; i1 < 10; i1++) {
      const int v0 = ((i0 * 10) + i1);
      const float v1 = p0[v0];
      const float v2 = p1[i0];
      const float v3 = (v1 * (1e+0f / v2));
      p2[v0] = v3;
    }
  }
}
void dh_run(char **memory, double *steps, volatile int *stop) {
  const long n = (long)steps[0];
  long s = 0;
  const dh_mode before = dh_flush();
  for (; s < n && !*stop; s++) {
    dh_k0((float *)(memory[4] + s * 320L), (float *)(memory[1] + 320));
    dh_k1((float *)(memory[4] + s * 320L), (float *)(memory[1] + 320), (float *)(memory[1] + 0));
    dh_k2((float *)(memory[1] + 0), (float *)(memory[1] + 320));
    dh_k3((float *)(memory[1] + 0), (float *)(memory[1] + 320), (float *)(memory[5] + s * 320L));
  }
  dh_restore(before);
  steps[1] = (double)s;
}
