/* Layer: core. The activations that layers know by name. */
#ifndef TREAD_ACTIVATION_H
#define TREAD_ACTIVATION_H

typedef enum tread_activation {
    TREAD_ACTIVATION_NONE = 0,
    TREAD_ACTIVATION_RELU,
    TREAD_ACTIVATION_LEAKY_RELU, /* slope 0.01 */
    TREAD_ACTIVATION_GELU,
    TREAD_ACTIVATION_SILU,
    TREAD_ACTIVATION_TANH,
    TREAD_ACTIVATION_SIGMOID,
} tread_activation;
#define TREAD_ACTIVATION_COUNT 7

#endif
