// Segments a large TCP or UDP packet as a network card would (GSO).
#pragma once
#include "packet.h"
#include <stddef.h>

// Writes a frame (u16 length ‖ packet) per segment of `segment` payload bytes; returns the bytes written, and how many segments in
// `*count`. All checksums are computed; the packet's own need not be right. 0 if the headers are not valid, a segment
// would be longer than a frame may carry, or `capacity` is too small; dp_segmented_size() always fits.
// `out + 2` may be `packet`: the segments then grow in place.
size_t dp_segment(const uint8_t *packet, uint32_t length, const struct dp_headers *headers, uint16_t segment, uint8_t *out,
                  size_t capacity, uint32_t *count);
// The bytes that takes.
size_t dp_segmented_size(uint32_t length, const struct dp_headers *headers, uint16_t segment);
