#include "settle.h"

#include "network.h"

static int units(const int *shape) { return shape[0] * shape[1] * shape[2]; }

/* Every product of a link once: the sums of the layer above, begun with its bias, and more for those below, if any. */
static void pass(const ep_link *link, const uint8_t *below, const uint8_t *above, int32_t *down, int32_t *up)
{
    const int height = link->below[1], width = link->below[2], places = link->above[1] * link->above[2];
    for (int to = 0; to < units(link->above); to++) {
        const int top = to % places / link->above[2] * link->pool, left = to % link->above[2] * link->pool;
        int32_t sum = 0;
        for (int window = 0; window < link->pool * link->pool; window++) {
            const int8_t *weight = link->weight + to / places * link->below[0] * link->rows * link->columns;
            const int first = (top + window / link->pool) * link->stride - link->padding;
            const int start = (left + window % link->pool) * link->stride - link->padding;
            for (int channel = 0; channel < link->below[0]; channel++)
                for (int row = first; row < first + link->rows; row++)
                    for (int column = start; column < start + link->columns; column++, weight++) {
                        const int from = (channel * height + row) * width + column;
                        if (row < 0 || row >= height || column < 0 || column >= width)
                            continue;
                        sum += *weight * below[from];
                        if (down)
                            down[from] += *weight * above[to] * ((int32_t)1 << link->down_shift);
                    }
        }
        up[to] = link->bias[to / places] + sum * ((int32_t)1 << link->up_shift);
    }
}

void ep_settle(const uint8_t *image, int steps, uint8_t *state, int32_t *drive, int32_t *scores)
{
    for (int unit = 0; unit < EP_UNITS; unit++)
        state[unit] = unit < EP_INPUTS ? image[unit] : 0;
    for (int step = 0; step < steps; step++) {
        for (int layer = 0, at = 0; layer < EP_LINKS; at += units(ep_links[layer++].below)) {
            const int next = at + units(ep_links[layer].below);
            pass(&ep_links[layer], state + at, state + next, layer ? drive + at : 0, drive + next);
        }
        for (int layer = 0, unit = EP_INPUTS; layer < EP_LINKS; layer++)
            for (int end = unit + units(ep_links[layer].above); unit < end; unit++) {
                const int32_t code = drive[unit] < 0 ? 0 : drive[unit] >> ep_links[layer].exponent;
                state[unit] = (uint8_t)(code > EP_ONE ? EP_ONE : code);
            }
    }
    const uint8_t *last = state + EP_UNITS - EP_LAST;
#if EP_READOUT
    pass(&ep_readout, last, 0, 0, scores);
#else
    for (int unit = 0; unit < EP_CLASSES; unit++)
        scores[unit] = last[unit];
#endif
}
