// Short turns, and everything else as it was. Ends with a line "ok", or with what was wrong.
#include "../../../native/dataplane/schedule.h"
#include "../check.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHORT = 100000, NICE = 5 };

struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

static struct attributes own(void) {
  struct attributes attributes = {0};
  CHECK(syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0);
  return attributes;
}

// Since 6.12 the turns of usual threads are told and may be chosen.
static int kernel_has_turns(void) {
  struct utsname name;
  int major = 0, minor = 0;
  CHECK(uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2);
  return major > 6 || (major == 6 && minor >= 12);
}

static void of_a_usual_thread(void) {
  dp_schedule_short_slices();
  struct attributes after = own();
  CHECK(after.policy == SCHED_OTHER && after.nice == NICE && after.flags == 0);
  CHECK(after.runtime == (kernel_has_turns() ? SHORT : 0));
}

static void another_policy_stays(void) {
  struct sched_param none = {0};
  CHECK(sched_setscheduler(0, SCHED_BATCH, &none) == 0);
  uint64_t before = own().runtime;
  dp_schedule_short_slices();
  CHECK(own().policy == SCHED_BATCH && own().nice == NICE && own().runtime == before);
}

// As a service manager would that forbids the call.
static void refuse_the_call(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setattr, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void where_it_is_forbidden_nothing_happens(void) {
  uint64_t before = own().runtime;
  refuse_the_call();
  dp_schedule_short_slices();
  CHECK(own().policy == SCHED_OTHER && own().nice == NICE && own().runtime == before);
}

// Each in a process of its own, whose scheduling nobody has touched yet.
static void apart(void (*test)(void)) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    test();
    _exit(0);
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

int main(void) {
  CHECK(setpriority(PRIO_PROCESS, 0, NICE) == 0);
  apart(of_a_usual_thread);
  apart(another_policy_stays);
  apart(where_it_is_forbidden_nothing_happens);
  puts("ok");
  return 0;
}
