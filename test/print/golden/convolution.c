// 896 bytes of state, 16192 of temporaries, 8 kernels
// 7×3·3·3 · 3·3·3×8: temporary 0 = temporary 14464 · state 0
// 42×8 · 8×27: temporary 0 = temporary 11776 · state 0
// 8×2·6·7 · 2·6·7×3: temporary 0 = temporary 11776 · temporary 14464
void dh_product0(const float *a, const float *b, float *c, float *scratch);
void dh_product1(const float *a, const float *b, float *c, float *scratch);
void dh_product2(const float *a, const float *b, float *c, float *scratch);
static void dh_k0(const float *restrict p0, float *restrict p1) {
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
static void dh_k1(const float *restrict p0, const float *restrict p1, float *restrict p2, float *restrict p3) {
  for (int i3 = 0; i3 < 672; i3++) {
    const float v0 = p0[i3];
    const float v1 = p1[i3];
    const float v2 = (v0 + (v1 * -1e+0f));
    const float v3 = (1.4880952658131719e-3f * v2);
    const float v4 = (v3 + v3);
    p2[i3] = v2;
    p3[i3] = v4;
  }
}
static void dh_k2(const float *restrict p0, float *restrict p1) {
  for (int i1 = 0; i1 < 6; i1++) {
    for (int i2 = 0; i2 < 6; i2++) {
      for (int i3 = 0; i3 < 7; i3++) {
        const unsigned char v0 = ((i2 + 1) < 6);
        const int v1 = (i1 * 378);
        const int v2 = (i2 * 7);
        const int v3 = (v1 + v2);
        const int v4 = (v3 + i3);
        const unsigned char v5 = ((i3 + 1) < 7);
        const float v6 = ((v0 && v5) ? p0[(v4 + 8)] : 0e+0f);
        const float v7 = (v0 ? p0[((v3 + 49) + i3)] : 0e+0f);
        const unsigned char v8 = (-1 < (i3 + -1));
        const float v9 = ((v0 && v8) ? p0[(v4 + 90)] : 0e+0f);
        const float v10 = (v5 ? p0[(v4 + 127)] : 0e+0f);
        const float v11 = p0[(((v1 + 168) + v2) + i3)];
        const float v12 = (v8 ? p0[(v4 + 209)] : 0e+0f);
        const unsigned char v13 = (-1 < (i2 + -1));
        const float v14 = ((v13 && v5) ? p0[(v4 + 246)] : 0e+0f);
        const float v15 = (v13 ? p0[((v3 + 287) + i3)] : 0e+0f);
        const float v16 = ((v13 && v8) ? p0[(v4 + 328)] : 0e+0f);
        const float v17 = (((v0 ? ((v6 + v7) + v9) : 0e+0f) + ((v10 + v11) + v12)) + (v13 ? ((v14 + v15) + v16) : 0e+0f));
        p1[(((i1 * 42) + v2) + i3)] = v17;
      }
    }
  }
}
static void dh_k3(const float *restrict p0, float *restrict p1) {
  float acc_b8 = 0e+0f;
  #pragma omp simd reduction(+ : acc_b8)
  for (int r3 = 0; r3 < 672; r3++) {
    const float v0 = p0[r3];
    acc_b8 = (acc_b8 + (v0 * v0));
  }
  const float v1 = (acc_b8 * 1.4880952658131719e-3f);
  p1[0] = v1;
}
static void dh_k4(float *restrict p0, const float *restrict p1) {
  for (int i3 = 0; i3 < 216; i3++) {
    const float v0 = p0[i3];
    const float v1 = p1[i3];
    const float v2 = (v0 + ((v1 * 1.0000000149011612e-1f) * -1e+0f));
    p0[i3] = v2;
  }
}
void dh_run(char **memory, double *steps, volatile int *stop) {
  const long n = (long)steps[0];
  long s = 0;
  char *const scratch = memory[2], *const product = scratch + 64;
  const dh_mode before = dh_flush();
  for (; s < n && !*stop; s++) {
    dh_k0((float *)(memory[4] + s * 1008L), (float *)(memory[1] + 14464));
    for (int i0 = 0; i0 < 2; i0++) { for (int i5 = 0; i5 < 6; i5++) { dh_product0((float *)(memory[1] + 14464) + ((i0 * 216L) + (i5 * 9L)), (float *)(memory[0] + 0) + 0L, (float *)(memory[1] + 0) + ((i0 * 336L) + (i5 * 7L)), (float *)product); } }
    dh_k1((float *)(memory[1] + 0), (float *)(memory[5] + s * 2688L), (float *)(memory[1] + 9088), (float *)(memory[1] + 11776));
    for (int i0 = 0; i0 < 2; i0++) { dh_product1((float *)(memory[1] + 11776) + (i0 * 336L), (float *)(memory[0] + 0) + 0L, (float *)(memory[1] + 0) + (i0 * 1134L), (float *)product); }
    dh_k2((float *)(memory[1] + 0), (float *)(memory[7] + s * 1008L));
    dh_k3((float *)(memory[1] + 9088), (float *)(memory[6] + s * 4L));
    for (int i2 = 0; i2 < 3; i2++) { for (int i3 = 0; i3 < 3; i3++) { dh_product2((float *)(memory[1] + 11776) + 0L, (float *)(memory[1] + 14464) + ((i2 * 72L) + (i3 * 9L)), (float *)(memory[1] + 0) + ((i2 * 9L) + (i3 * 3L)), (float *)product); } }
    dh_k4((float *)(memory[0] + 0), (float *)(memory[1] + 0));
  }
  dh_restore(before);
  steps[1] = (double)s;
}
