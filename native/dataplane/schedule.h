// How long a thread that carries packets runs before others get their turn.
#pragma once

// The calling thread runs in short turns from now on, and in exchange it comes soon when it has something to do (EEVDF, Linux 6.12). Its
// share of the processor, its policy and its nice value stay. Nothing happens on older kernels, under other policies than the usual one, or
// where the calls are not allowed.
void dp_schedule_short_slices(void);
