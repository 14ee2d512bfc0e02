#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tread/tensor.h>

#include "engine/checkpoint/element.h"
#include "optim/report.h"

/* Binary floating point by its fields; bias is 2^(exponent bits - 1) - 1. */
static double from_fields(unsigned bits, int exponent_bits, int mantissa_bits) {
    int bias = (1 << (exponent_bits - 1)) - 1;
    unsigned top = (1u << exponent_bits) - 1;
    unsigned mantissa = bits & ((1u << mantissa_bits) - 1), exponent = bits >> mantissa_bits & top;
    double sign = bits >> (exponent_bits + mantissa_bits) & 1 ? -1 : 1;
    if (exponent == top)
        return mantissa == 0 ? sign * INFINITY : NAN;
    if (exponent == 0)
        return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * ldexp(mantissa | 1u << mantissa_bits, (int)exponent - bias - mantissa_bits);
}

/* E4M3 of "FP8 formats for deep learning" (2022): no infinities, all ones are NaN. */
static double from_e4m3(unsigned bits) {
    if ((bits & 0x7f) == 0x7f)
        return NAN;
    if ((bits & 0x78) != 0x78)
        return from_fields(bits, 4, 3);
    return (bits & 0x80 ? -1 : 1) * ldexp(8 | (bits & 7), 5);
}

#define READ(type)                                                                                                     \
    do {                                                                                                               \
        type value_;                                                                                                   \
        memcpy(&value_, element, sizeof value_);                                                                       \
        return (double)value_;                                                                                         \
    } while (0)

static double read_f32(const void *element) { READ(float); }
static double read_f64(const void *element) { READ(double); }
static double read_i8(const void *element) { READ(int8_t); }
static double read_u8(const void *element) { READ(uint8_t); }
static double read_i16(const void *element) { READ(int16_t); }
static double read_u16(const void *element) { READ(uint16_t); }
static double read_i32(const void *element) { READ(int32_t); }
static double read_u32(const void *element) { READ(uint32_t); }
static double read_i64(const void *element) { READ(int64_t); }
static double read_u64(const void *element) { READ(uint64_t); }
static double read_f16(const void *element) { return from_fields((unsigned)read_u16(element), 5, 10); }
static double read_bf16(const void *element) { return from_fields((unsigned)read_u16(element), 8, 7); }
static double read_e5m2(const void *element) { return from_fields((unsigned)read_u8(element), 5, 2); }
static double read_e4m3(const void *element) { return from_e4m3((unsigned)read_u8(element)); }

static const tread_element_type types[] = {
    {"F32", TREAD_FLOAT32, 4, read_f32},
    {"F64", TREAD_FLOAT64, 8, read_f64},
    {"I32", TREAD_INT32, 4, read_i32},
    {"U8", TREAD_UINT8, 1, read_u8},
    {"BF16", -1, 2, read_bf16},
    {"F16", -1, 2, read_f16},
    {"F8_E4M3", -1, 1, read_e4m3},
    {"F8_E5M2", -1, 1, read_e5m2},
    {"BOOL", -1, 1, read_u8},
    {"I8", -1, 1, read_i8},
    {"I16", -1, 2, read_i16},
    {"U16", -1, 2, read_u16},
    {"U32", -1, 4, read_u32},
    {"I64", -1, 8, read_i64},
    {"U64", -1, 8, read_u64},
};

const tread_element_type *tread_element_type_find(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const tread_element_type *tread_element_type_of(int dtype) {
    size_t i = 0;
    while (types[i].dtype != dtype)
        i++;
    return &types[i];
}

char *tread_element_text(char *buffer, const tread_element_type *type, const void *element) {
    double value = type->value(element);
    uint64_t bits = 0;
    memcpy(&bits, element, type->size);
    if (strcmp(type->name, "I64") == 0)
        snprintf(buffer, TREAD_ELEMENT_TEXT, "%" PRId64, (int64_t)bits);
    else if (strcmp(type->name, "U64") == 0)
        snprintf(buffer, TREAD_ELEMENT_TEXT, "%" PRIu64, bits);
    else if (isnan(value))
        snprintf(buffer, TREAD_ELEMENT_TEXT, "nan (bits %" PRIx64 ")", bits);
    else
        tread_number_text(buffer, value);
    return buffer;
}
