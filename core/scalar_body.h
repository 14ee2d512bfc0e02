/* Layer: core. Included by scalar.h once for each float type; no guard on purpose. Selects, never branches, so that
 * loops over these vectorise. */

TREAD_KERNEL_BODY REAL T(tread_neg)(REAL x) { return -x; }
TREAD_KERNEL_BODY REAL T(tread_neg_grad)(REAL x, REAL y) { return (void)x, (void)y, (REAL)-1; }

/* T(tread_exp) and T(tread_log) are in core/math.h. */
TREAD_KERNEL_BODY REAL T(tread_exp_grad)(REAL x, REAL y) { return (void)x, y; }           /* y */
TREAD_KERNEL_BODY REAL T(tread_log_grad)(REAL x, REAL y) { return (void)y, (REAL)1 / x; } /* x */

TREAD_KERNEL_BODY REAL T(tread_sqrt)(REAL x) {
    return sizeof(REAL) == 4 ? (REAL)sqrtf((float)x) : (REAL)sqrt((double)x);
}
TREAD_KERNEL_BODY REAL T(tread_sqrt_grad)(REAL x, REAL y) { return (void)x, (REAL)0.5 / y; } /* y */

TREAD_KERNEL_BODY REAL T(tread_square)(REAL x) { return x * x; }
TREAD_KERNEL_BODY REAL T(tread_square_grad)(REAL x, REAL y) { return (void)y, x + x; } /* x */

TREAD_KERNEL_BODY REAL T(tread_abs)(REAL x) {
    return sizeof(REAL) == 4 ? (REAL)fabsf((float)x) : (REAL)fabs((double)x);
}
/* x; 0 at 0 */
TREAD_KERNEL_BODY REAL T(tread_abs_grad)(REAL x, REAL y) {
    REAL above = x > 0 ? (REAL)1 : (REAL)0, below = x < 0 ? (REAL)1 : (REAL)0;
    return (void)y, above - below;
}

TREAD_KERNEL_BODY REAL T(tread_clamp)(REAL x, REAL low, REAL high) {
    REAL raised = x < low ? low : x;
    return raised > high ? high : raised;
}
/* x; 1 on the bounds */
TREAD_KERNEL_BODY REAL T(tread_clamp_grad)(REAL x, REAL y, REAL low, REAL high) {
    REAL above = x >= low ? (REAL)1 : (REAL)0;
    return (void)y, x <= high ? above : (REAL)0;
}

TREAD_KERNEL_BODY REAL T(tread_relu)(REAL x) { return x <= 0 ? (REAL)0 : x; }
/* y (or x); 0 at 0 */
TREAD_KERNEL_BODY REAL T(tread_relu_grad)(REAL x, REAL y) { return (void)x, y <= 0 ? (REAL)0 : (REAL)1; }

TREAD_KERNEL_BODY REAL T(tread_leaky_relu)(REAL x, REAL slope) { return x < 0 ? slope * x : x; }
/* x; where slope > 0, y has x's sign and serves as well */
TREAD_KERNEL_BODY REAL T(tread_leaky_relu_grad)(REAL x, REAL y, REAL slope) { return (void)y, x < 0 ? slope : (REAL)1; }

/* x Phi(x), Phi the normal distribution function: Hendrycks and Gimpel 2016. */
TREAD_KERNEL_BODY REAL T(tread_gelu)(REAL x) {
    return (REAL)0.5 * x * ((REAL)1 + T(tread_erf)(x * (REAL)0.70710678118654752440));
}
/* x: Phi(x) + x phi(x) */
TREAD_KERNEL_BODY REAL T(tread_gelu_grad)(REAL x, REAL y) {
    REAL distribution = (REAL)0.5 * ((REAL)1 + T(tread_erf)(x * (REAL)0.70710678118654752440));
    REAL bell = T(tread_exp)((REAL)-0.5 * (x * x));
    return (void)y, distribution + x * ((REAL)0.39894228040143267794 * bell);
}

/* T(tread_sigmoid) and T(tread_tanh) are in core/math.h. */
TREAD_KERNEL_BODY REAL T(tread_sigmoid_grad)(REAL x, REAL y) { return (void)x, y * ((REAL)1 - y); } /* y */

TREAD_KERNEL_BODY REAL T(tread_silu)(REAL x) { return x * T(tread_sigmoid)(x); }
/* x: s + x s (1 - s), with 1 - s taken as sigmoid(-x) */
TREAD_KERNEL_BODY REAL T(tread_silu_grad)(REAL x, REAL y) {
    REAL e = T(tread_exp)(-T(tread_abs)(x));
    REAL larger = (REAL)1 / ((REAL)1 + e), smaller = e * larger;
    REAL s = x < 0 ? smaller : larger;
    return (void)y, s + x * (smaller * larger);
}

TREAD_KERNEL_BODY REAL T(tread_tanh_grad)(REAL x, REAL y) { return (void)x, (REAL)1 - y * y; } /* y */
