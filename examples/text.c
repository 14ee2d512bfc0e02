/* Tells what a sentence is about. Its words become indices of an embedding table, whose gradient is sparse: a step
 * changes the rows of the words that the batch holds, and costs nothing for the others.
 * cc text.c $(pkg-config --cflags --libs tread) && ./a.out [epochs]
 * Where other programs are busy, start it with GOMP_SPINCOUNT=1000 in the environment: it is several times faster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tread/tread.h>

enum { LENGTH = 12, VOCABULARY = 100, TRAIN = 1500, TEST = 300, TOPICS = 3, NOUNS = 8, FRAMES = 5 };

static const char *const topics[TOPICS] = {"weather", "football", "cooking"};
static const char *const nouns[TOPICS][NOUNS] = {
    {"rain", "wind", "snow", "storm", "clouds", "frost", "fog", "thunder"},
    {"team", "goal", "match", "striker", "referee", "coach", "league", "keeper"},
    {"soup", "bread", "butter", "oven", "salt", "onions", "sauce", "pepper"},
};
static const char *const frames[FRAMES] = {
    "the %s and then the %s surprised us all",  "nobody spoke of the %s after the %s",
    "my brother likes the %s more than the %s", "we waited for the %s and got only the %s",
    "without the %s there would be no %s",
};

/* The word table. Index 0 is the padding row, which counts for nothing: it fills short sentences up and stands for
 * words that training has not seen. */
static char words[VOCABULARY][16];
static int n_words = 1;

static int32_t index_of(const char *word, bool learn) {
    for (int i = 1; i < n_words; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    if (!learn || n_words == VOCABULARY)
        return 0;
    snprintf(words[n_words], sizeof words[0], "%s", word);
    return n_words++;
}

static void read_sentence(const char *text, bool learn, int32_t *indices) {
    char copy[256];
    snprintf(copy, sizeof copy, "%s", text);
    char *word = strtok(copy, " ");
    for (int i = 0; i < LENGTH; i++, word = word != NULL ? strtok(NULL, " ") : NULL)
        indices[i] = word != NULL ? index_of(word, learn) : 0;
}

static int32_t texts[TRAIN + TEST][LENGTH], labels[TRAIN + TEST];

static void write_corpus(void) {
    tread_rng rng = tread_rng_create(1, 0);
    for (int i = 0; i < TRAIN + TEST; i++) {
        char text[256];
        const char *const *about = nouns[labels[i] = (int32_t)tread_rng_below(&rng, TOPICS)];
        const char *first = about[tread_rng_below(&rng, NOUNS)], *second = about[tread_rng_below(&rng, NOUNS)];
        snprintf(text, sizeof text, frames[tread_rng_below(&rng, FRAMES)], first, second);
        read_sentence(text, i < TRAIN, texts[i]);
    }
}

static int fail(void) { return fprintf(stderr, "%s\n", tread_last_error()), EXIT_FAILURE; }

int main(int argc, char **argv) {
    write_corpus();
    tread_dataset *train = tread_dataset_from_indices(TRAIN, LENGTH, texts[0], TOPICS, labels);
    tread_dataset *test = tread_dataset_from_indices(TEST, LENGTH, texts[TRAIN], TOPICS, labels + TRAIN);
    tread_embedding_classifier_options model = tread_embedding_classifier_defaults();
    model.vocabulary = VOCABULARY;
    model.width = 16;
    model.n_classes = TOPICS;
    model.sparse = true;
    tread_module *net = tread_embedding_classifier(NULL, &model);
    if (train == NULL || test == NULL || net == NULL)
        return fail();
    tread_trainer_options options = tread_trainer_defaults();
    options.model = net;
    options.optimizer = tread_optimizer_from_spec(NULL, tread_module_parameters(net), "adam:lr=0.01");
    options.train = tread_batches_create(NULL, train, NULL);
    options.test = tread_batches_create(NULL, test, NULL);
    options.epochs = argc > 1 ? atoi(argv[1]) : 5;
    tread_trainer *trainer = tread_trainer_create(NULL, &options);
    tread_evaluation result;
    if (options.optimizer == NULL || trainer == NULL || tread_trainer_run(trainer) != TREAD_OK ||
        tread_trainer_evaluate(trainer, NULL, &result) != TREAD_OK)
        return fail();
    printf("%d words, accuracy on new sentences %.1f %%\n", n_words - 1, 100 * result.metric);

    const char *sentence = "no referee ever stopped a match because of rain";
    int32_t indices[LENGTH];
    read_sentence(sentence, false, indices);
    tread_tape *tape = tread_tape_create(NULL);
    tread_tensor *x = tread_tensor_wrap(TREAD_INT32, 2, (const int64_t[]){1, LENGTH}, indices);
    tread_tensor *shares = tape != NULL && x != NULL ? tread_softmax(tape, tread_forward(net, tape, x), 1) : NULL;
    if (shares == NULL)
        return fail();
    printf("%s:\n", sentence);
    for (int i = 0; i < TOPICS; i++)
        printf("%5.1f %% %s\n", 100 * (double)tread_tensor_float(shares)[i], topics[i]);
    tread_tensor_destroy(x);
    tread_tape_destroy(tape);
    tread_trainer_destroy(trainer);
    tread_optimizer_destroy(options.optimizer);
    tread_batches_destroy(options.train);
    tread_batches_destroy(options.test);
    tread_module_destroy(net);
    tread_dataset_destroy(train);
    tread_dataset_destroy(test);
    return result.metric > 0.5 ? EXIT_SUCCESS : EXIT_FAILURE; /* by chance it is one in three */
}
