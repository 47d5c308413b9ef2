// 0 bytes of state, 0 of temporaries, 1 kernels
static void dh_k0(const float *restrict p0, const float *restrict p1, float *restrict p2) {
  for (int i0 = 0; i0 < 4; i0++) {
    for (int i1 = 0; i1 < 8; i1++) {
      const int v0 = ((i0 * 8) + i1);
      const float v1 = p0[v0];
      const float v2 = p1[i1];
      const float v3 = dh_max_f32(dh_tanh_f32(dh_fma_f32(v1, v2, 1e+0f)), 5e-1f);
      p2[v0] = v3;
    }
  }
}
void dh_run(char **memory, double *steps, volatile int *stop) {
  const long n = (long)steps[0];
  long s = 0;
  const dh_mode before = dh_flush();
  for (; s < n && !*stop; s++) {
    dh_k0((float *)(memory[4] + s * 128L), (float *)(memory[5] + s * 32L), (float *)(memory[6] + s * 128L));
  }
  dh_restore(before);
  steps[1] = (double)s;
}
