/* Muon in double. Its matrix products mix all elements, so what is bounded is the Frobenius norm of the error. */
#include <math.h>
#include <stdlib.h>

#include "core/isa.h"
#include "tests/optim/reference.h"

static const double a = 3.4445, b = -4.7750, c = 2.0315;

/* Z = X Y, of m x k, k x n; compiled for the widest instructions: this is most of the test's time. */
TREAD_KERNEL_BODY void TREAD_BODY(multiply)(const double *x, const double *y, double *z, int64_t m, int64_t k,
                                            int64_t n) {
    for (int64_t i = 0; i < m; i++) {
        double *restrict row = z + i * n;
        for (int64_t j = 0; j < n; j++)
            row[j] = 0;
        for (int64_t l = 0; l < k; l++) {
            const double factor = x[i * k + l];
            const double *restrict other = y + l * n;
            for (int64_t j = 0; j < n; j++)
                row[j] += factor * other[j];
        }
    }
}
TREAD_KERNEL(multiply, (const double *x, const double *y, double *z, int64_t m, int64_t k, int64_t n),
             (x, y, z, m, k, n))

static double norm(const double *x, int64_t n) {
    double squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += x[i] * x[i];
    return sqrt(squares);
}

static void transpose(const double *x, double *y, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            y[j * rows + i] = x[i * columns + j];
}

/* One step X -> a X + (b A + c A A) X, A = X X^T, of m x k with m <= k; returns the bound on the new X's error.
 *
 * It applies p(t) = a t + b t^3 + c t^5 to the singular values, which are at most 1 at first and so never above 1.2024,
 * the largest p up to 1; on matrices of such, p changes a difference by at most the largest |p'|, in the Frobenius
 * norm: 3.4445 (at 0) up to 1, 3.97 (at 1.2024) from then on. To this comes the step's own rounding, inner products of
 * length k having |fl(XY) - XY| <= k u |X| |Y|:
 *     A = X X^T: dA = k u ||X||^2;  A A: m u ||A||^2 + 2 |A|_2 dA + dA^2;  M = b A + c A A: theirs, and
 *     3 u (|b| ||A|| + |c| ||AA||);  a X + M X or (a + M) X: (m + 3) u (a + ||M||) ||X|| + |X|_2 dM
 * 1.1 covers that the norms are those of the exact matrices. This is the worst case to first order in the error; it
 * grows as m k does, and at 100 000 elements the second order is left out. (tests/golden/formulas.py has it, where
 * matrices are small.) */
static double newton_schulz_step(double *x, double *memory, int64_t m, int64_t k, bool first, double error) {
    const double limit = first ? 1 : 1.2024, growth = first ? 3.4445 : 3.97, u = BOUNDED_U;
    double *xt = memory, *square = xt + m * k, *fourth = square + m * m, *moved = fourth + m * m;
    transpose(x, xt, m, k);
    TREAD_CALL(multiply)(x, xt, square, m, k, m);
    TREAD_CALL(multiply)(square, square, fourth, m, m, m);
    double of_x = norm(x, m * k), of_square = norm(square, m * m), of_fourth = norm(fourth, m * m);
    for (int64_t i = 0; i < m * m; i++)
        fourth[i] = b * square[i] + c * fourth[i];
    TREAD_CALL(multiply)(fourth, x, moved, m, m, k);
    double d_square = (double)k * u * of_x * of_x;
    double d_fourth = (double)m * u * of_square * of_square + 2 * limit * limit * d_square + d_square * d_square;
    double d_both = -b * d_square + c * d_fourth + 3 * u * (-b * of_square + c * of_fourth);
    double own = (double)(m + 3) * u * (a + norm(fourth, m * m)) * of_x + limit * d_both;
    for (int64_t i = 0; i < m * k; i++)
        x[i] = a * x[i] + moved[i];
    return growth * error + 1.1 * own;
}

double reference_orthogonalise(double *x, int64_t rows, int64_t columns, int64_t steps, double error) {
    bool tall = rows > columns;
    int64_t m = tall ? columns : rows, k = tall ? rows : columns;
    double *wide = malloc((size_t)(3 * m * k + 2 * m * m) * sizeof(double)), size = norm(x, m * k);
    for (int64_t i = 0; i < m * k; i++)
        x[i] /= fmax(size, 1e-7);
    /* The quotient: its own rounding, the divisor's, and the divisor's share of U's error. */
    error = size > 0 ? 2 * error / size + 3 * BOUNDED_U : 0;
    if (tall)
        transpose(x, wide, rows, columns);
    else
        for (int64_t i = 0; i < m * k; i++)
            wide[i] = x[i];
    for (int64_t s = 0; s < steps && size > 0; s++)
        error = newton_schulz_step(wide, wide + m * k, m, k, s == 0, error);
    if (tall)
        transpose(wide, x, columns, rows);
    else
        for (int64_t i = 0; i < m * k; i++)
            x[i] = wide[i];
    free(wide);
    return error;
}

void reference_muon(const void *options, reference *r, const double *grad) {
    const tread_muon_options *o = options;
    if (o->rule == TREAD_MUON_RULE_ADAMW) {
        tread_adamw_options adamw = tread_adamw_defaults();
        adamw.lr = o->lr, adamw.weight_decay = o->weight_decay, adamw.eps = o->eps, adamw.maximize = o->maximize;
        adamw.betas[0] = o->betas[0], adamw.betas[1] = o->betas[1];
        reference_adamw(&adamw, r, grad);
        return;
    }
    double *direction = malloc((size_t)r->n * sizeof(double)), errors = 0, mu = o->momentum;
    for (int64_t i = 0; i < r->n; i++) {
        bounded g = bounded_exact(o->maximize ? -grad[i] : grad[i]), *buffer = &r->slots[0][i];
        *buffer = bounded_mix(mu, *buffer, 1 - mu, g);
        bounded ahead = o->nesterov ? bounded_mix(1 - mu, g, mu, *buffer) : *buffer;
        direction[i] = ahead.value;
        errors += ahead.error * ahead.error;
    }
    double error = reference_orthogonalise(direction, r->rows, r->columns, o->ns_steps, sqrt(errors));
    double step = o->lr * sqrt(fmax(1, (double)r->rows / (double)r->columns)), keep = 1 - o->lr * o->weight_decay;
    for (int64_t i = 0; i < r->n; i++)
        r->x[i] = bounded_sub(bounded_mul(bounded_factor(keep), r->x[i]),
                              bounded_mul(bounded_factor(step), bounded_exact(direction[i])));
    r->norm_error = fabs(keep) * r->norm_error + 1.001 * step * error;
    free(direction);
}
