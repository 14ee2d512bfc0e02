/* Layer: core. Includes the file that BODY names once for each float type, with REAL as the type and T(name) as the
 * name with its suffix; no guard on purpose. */

#define REAL float
#define T(name) name##_f32
#include BODY
#undef REAL
#undef T

#define REAL double
#define T(name) name##_f64
#include BODY
#undef REAL
#undef T

#undef BODY
