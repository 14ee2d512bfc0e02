"""Arrays of float64 values with a bound on the error of the same arithmetic in float32.

The derivation, for everything that uses it: float32 rounds the result r of one operation by at most u |r|, u = 2^-24,
or by 2^-150 where r is subnormal. If operands a and b carry errors ea and eb, then

    a + b   carries  ea + eb
    a b              |a| eb + |b| ea + ea eb
    a / b            (ea + |a / b| eb) / (|b| - eb)
    sqrt(a)          ea / (sqrt(a) + sqrt(max(a - ea, 0)))      since sqrt(a') - sqrt(a) = (a' - a) / (sqrt(a') + sqrt(a))
    max(a, b)        max(ea, eb)
    sign(a)          0 where |a| > ea, else 2 (1 if a is 0): the computed a may be on either side

and after each comes u (|r| + error) for its own rounding. A result that is zero without error is exact, and so is what
is multiplied by it. A scalar factor is computed in double by the library and rounded to float32 once: u of it. Sums of
a whole parameter (norms) are in double. The float64 arithmetic of this script errs 2^29 times less; u counts as 1.001 *
2^-24 for that.

No part of the bound is measured or chosen. It holds for any order of one formula's products, since those differ in
which intermediate result is rounded and not in how many are."""
import numpy as np

U = 1.001 * 2.0 ** -24
TINY = 2.0 ** -149


class Rounded:
    def __init__(self, value, error=None):
        self.value = np.asarray(value, dtype=np.float64)
        self.error = np.zeros_like(self.value) if error is None else np.broadcast_to(error, self.value.shape)

    @staticmethod
    def after(value, error):
        """The result of one operation, with what its operands pass on."""
        size = np.abs(value) + error
        return Rounded(value, error + U * size + np.where(size > 0, TINY, 0))

    def __add__(self, other):
        other = of(other)
        return Rounded.after(self.value + other.value, self.error + other.error)

    def __sub__(self, other):
        other = of(other)
        return Rounded.after(self.value - other.value, self.error + other.error)

    def __neg__(self):
        return Rounded(-self.value, self.error)

    def __mul__(self, other):
        other = of(other)
        return Rounded.after(self.value * other.value, np.abs(self.value) * other.error +
                             np.abs(other.value) * self.error + self.error * other.error)

    def __rmul__(self, factor):
        return self * factor

    def __truediv__(self, other):
        other = of(other)
        value, room = self.value / other.value, np.abs(other.value) - other.error
        assert (room > 0).all(), "the divisor may be zero"
        return Rounded.after(value, (self.error + np.abs(value) * other.error) / room)

    def sqrt(self):
        low = np.sqrt(np.maximum(self.value - self.error, 0))
        root = np.sqrt(self.value)
        with np.errstate(invalid="ignore", divide="ignore"):
            return Rounded.after(root, np.where(self.error > 0, self.error / (root + low), 0))

    def abs(self):
        return Rounded(np.abs(self.value), self.error)

    def sign(self):
        doubt = np.where(self.value == 0, 1, 2) * (self.error > 0)
        return Rounded(np.sign(self.value), np.where(np.abs(self.value) > self.error, 0, doubt))

    def norm(self):
        """The root of the sum of squares in double: a number moves by no more than the norm of the errors."""
        return Rounded.after(np.sqrt(np.sum(self.value ** 2)), np.sqrt(np.sum(self.error ** 2)))


def of(value):
    """A plain number is a factor: computed in double, rounded once. 0 and 1 are exact."""
    if isinstance(value, Rounded):
        return value
    value = float(value)
    return Rounded(value, 0 if value in (0, 1, -1) else U * abs(value))


def maximum(a, b):
    a, b = of(a), of(b)
    return Rounded(np.maximum(a.value, b.value), np.maximum(a.error, b.error))
