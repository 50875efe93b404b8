// The scheduling slice of threads that carry packets.
#pragma once

// Gives the calling thread a short slice, for which the scheduler runs it sooner after it wakes (EEVDF, Linux 6.12). Its share of the
// processor, its policy and its nice value stay. Does nothing on older kernels, under policies other than SCHED_OTHER, or where the calls are
// not permitted.
void dp_schedule_short_slices(void);
