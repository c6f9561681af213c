/* Settle a network in portable C99 with an int of 32 bits: no allocation, no library, no floats.

   Numbers are those of the program: a state s in [0, 1] is the code s * EP_ONE, image codes are round(pixel * EP_ONE),
   and every sum is proven to stay below 2^23. Every step takes all layers from the states as they were,

       drive = (W_below s_below << up_shift) + (W_above^T s_above << down_shift) + bias
       s    <- min(max(drive >> exponent, 0), EP_ONE)

   The caller owns the memory: EP_UNITS bytes of states, layer after layer from the image up, EP_UNITS sums. */
#ifndef EP_SETTLE_H
#define EP_SETTLE_H

#include <stdint.h>

#include "sizes.h"

typedef struct {
    const int8_t *weight;  /* [channels above][channels below][rows][columns], used in both directions */
    const int32_t *bias;   /* [channels above], with the half that rounds */
    int below[3], above[3]; /* channels, height, width */
    int rows, columns, stride, padding, pool; /* a dense link is a kernel as large as the layer below */
    int up_shift, down_shift, exponent;
} ep_link;

/* image[EP_INPUTS], state[EP_UNITS], drive[EP_UNITS], scores[EP_CLASSES]; the class is the largest score. */
void ep_settle(const uint8_t *image, int steps, uint8_t *state, int32_t *drive, int32_t *scores);

#endif
