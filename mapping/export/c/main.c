/* Images of EP_INPUTS bytes each from standard input; a line of the class and all scores for each. */
#include <stdio.h>
#include <stdlib.h>

#include "settle.h"

static uint8_t image[EP_INPUTS], state[EP_UNITS];
static int32_t drive[EP_UNITS], scores[EP_CLASSES];

int main(int count, char **arguments)
{
    const int steps = count > 1 ? atoi(arguments[1]) : 40;
    while (fread(image, 1, EP_INPUTS, stdin) == EP_INPUTS) {
        int best = 0;
        ep_settle(image, steps, state, drive, scores);
        for (int unit = 1; unit < EP_CLASSES; unit++)
            best = scores[unit] > scores[best] ? unit : best;
        printf("%d:", best);
        for (int unit = 0; unit < EP_CLASSES; unit++)
            printf(" %ld", (long)scores[unit]);
        printf("\n");
    }
    return 0;
}
