/* Layer: models. Whole models. */
#ifndef TREAD_MODELS_H
#define TREAD_MODELS_H

#include <tread/module.h>

TREAD_BEGIN_DECLS

/* A multilayer perceptron: for each hidden size a linear layer, layer_norm where wanted, the activation, dropout where
 * p > 0; then a linear layer of n_outputs. A tread_sequential of those, with its names: "0.weight", "0.bias",
 * "2.weight", ...; the last layer's weight has the role TREAD_ROLE_OUTPUT. */
typedef struct tread_mlp_options {
    size_t size;                 /* sizeof, set by tread_mlp_defaults() */
    int64_t n_inputs;            /* >= 1; must be given */
    const int64_t *hidden;       /* n_hidden sizes, each >= 1; read during the call [NULL] */
    size_t n_hidden;             /* [0: one linear layer] */
    int64_t n_outputs;           /* >= 1; must be given */
    tread_activation activation; /* [TREAD_ACTIVATION_RELU] */
    double dropout;              /* p, in [0, 1) [0] */
    bool layer_norm;             /* eps 1e-5, affine [false] */
    bool bias;                   /* of the linear layers [true] */
} tread_mlp_options;
TREAD_API tread_mlp_options tread_mlp_defaults(void);

/* NULL: TREAD_ERROR_ARGUMENT (a field out of its range is named), TREAD_ERROR_SHAPE, TREAD_ERROR_MEMORY. */
TREAD_API tread_module *tread_mlp(tread_context *context, const tread_mlp_options *options);

/* A classifier of texts, or of other bags of indices: an embedding bag, then a tread_mlp (one linear layer where there
 * is no hidden size). Input (n, length) int32, shorter texts filled up with padding_idx; output (n, n_classes) scores.
 * Parameters "0.weight" (vocabulary, width), "1.0.weight", "1.0.bias", ... As fastText: Joulin, Grave, Bojanowski and
 * Mikolov, "Bag of tricks for efficient text classification", EACL 2017. */
typedef struct tread_embedding_classifier_options {
    size_t size;                 /* sizeof, set by tread_embedding_classifier_defaults() */
    int64_t vocabulary;          /* rows of the table, the padding row's included, >= 1; must be given */
    int64_t width;               /* of an embedding, >= 1 [64] */
    int64_t n_classes;           /* >= 1; must be given */
    int64_t padding_idx;         /* in [0, vocabulary), or TREAD_NO_PADDING [0] */
    tread_bag_mode mode;         /* [TREAD_BAG_MEAN] */
    bool sparse;                 /* sparse gradient of the table; for optimizers that support it [false] */
    const int64_t *hidden;       /* n_hidden sizes, each >= 1; read during the call [NULL] */
    size_t n_hidden;             /* [0] */
    tread_activation activation; /* behind each hidden layer [TREAD_ACTIVATION_RELU] */
    double dropout;              /* likewise; p, in [0, 1) [0] */
} tread_embedding_classifier_options;
TREAD_API tread_embedding_classifier_options tread_embedding_classifier_defaults(void);

/* NULL: as tread_mlp. */
TREAD_API tread_module *tread_embedding_classifier(tread_context *context,
                                                   const tread_embedding_classifier_options *options);

TREAD_END_DECLS

#endif
