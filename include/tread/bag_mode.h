/* Layer: core. How the rows of an embedding bag are combined. */
#ifndef TREAD_BAG_MODE_H
#define TREAD_BAG_MODE_H

typedef enum tread_bag_mode {
    TREAD_BAG_SUM = 0,
    TREAD_BAG_MEAN, /* of the places that count */
    TREAD_BAG_MAX,  /* element by element */
} tread_bag_mode;

#endif
