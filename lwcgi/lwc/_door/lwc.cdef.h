/* SPDX-License-Identifier: MIT */
/* What Python may see of kmod/uapi/lwc.h and shim.h. cffi checks every field against the header. */

#define LWC_ABI ...

#define LWC_FD_NONE ...
#define LWC_FD_SELF ...
#define LWC_FD_ROOT ...

#define LWC_MAX_ARGS ...
#define LWC_MAX_SPECS ...

#define LWC_FEATURE_OVERLAY ...
#define LWC_FEATURE_RESTRICT ...
#define LWC_FEATURE_SYSCALL ...
#define LWC_FEATURE_TRAP ...
#define LWC_FEATURE_THREADS ...

#define LWC_MEMORY ...
#define LWC_FILES ...
#define LWC_CREDENTIALS ...

#define LWC_COPY ...
#define LWC_SHARE ...
#define LWC_UNMAP ...

#define LWC_MAY_ACCESS ...

#define LWC_ALL ...

#define LWC_MAY_RETURN ...
#define LWC_SAME_RIGHTS ...
#define LWC_SUSPEND_ONLY ...
#define LWC_SHARE_SIGNALS ...
#define LWC_TRAP_SYSCALLS ...
#define LWC_WITH_THREADS ...

#define LWC_CREATED ...
#define LWC_ENTERED ...
#define LWC_TRAPPED ...

#define LWC_DISCARD ...
#define LWC_BY_TRAP ...

#define LWC_MAY_ENTER ...

#define LWC_IS_RUNNING ...
#define LWC_IS_ROOT ...
#define LWC_IS_SNAPSHOT ...
#define LWC_IS_WORKER ...
#define LWC_IS_ENTERED ...

#define LWC_RESTRICT_COPY ...

#define LWC_TRAP_NONE ...
#define LWC_TRAP_ALL ...
#define LWC_TRAP_SOME ...

#define LWC_TRAP_COMPAT ...
#define LWC_TRAP_AGAIN ...
#define LWC_TRAP_ONCE ...

#define LWC_IOC_MAGIC ...
#define LWC_IOC_ABI ...
#define LWC_IOC_SWITCH ...
#define LWC_IOC_CLONE ...
#define LWC_IOC_RESET ...
#define LWC_IOC_GRANT ...
#define LWC_IOC_INFO ...
#define LWC_IOC_OVERLAY ...
#define LWC_IOC_RESTRICT ...
#define LWC_IOC_SYSCALL ...
#define LWC_IOC_TRAP ...

typedef uint32_t __u32;
typedef int32_t __s32;
typedef unsigned long long __u64;
typedef long long __s64;

struct lwc_abi {
    __u32 abi;
    __u32 features;
};

struct lwc_spec {
    __u32 kind;
    __u32 action;
    __u64 start;
    __u64 end;
};

struct lwc_create {
    __u32 flags;
    __u32 nspecs;
    __u64 specs;
    __u32 event;
    __s32 fd;
    __s32 caller;
    __u32 nargs;
    __u64 args[8];
};

struct lwc_switch {
    __s32 target;
    __u32 flags;
    __u32 nargs;
    __s32 caller;
    __u64 args[8];
};

struct lwc_clone {
    __s32 snapshot;
    __u32 flags;
    __s32 fd;
    __u32 reserved;
};

struct lwc_reset {
    __s32 worker;
    __u32 flags;
    __u64 pages_copied;
    __u64 pages_checked;
    __u64 pages_private;
    __u64 mappings;
};

struct lwc_grant {
    __s32 target;
    __s32 holder;
    __u32 rights;
    __u32 reserved;
};

struct lwc_info {
    __s32 fd;
    __u32 flags;
    __u64 id;
    __u64 creator;
    __u64 snapshot;
    __u32 state;
    __u32 contexts;
    __u64 pages_private;
    __u64 switches;
    __u64 bytes;
};

struct lwc_overlay {
    __s32 source;
    __u32 flags;
    __u32 nspecs;
    __u32 reserved;
    __u64 specs;
};

struct lwc_restrict {
    __s32 fd;
    __u32 flags;
    __u32 nspecs;
    __s32 restricted;
    __u64 specs;
};

struct lwc_syscall {
    __s32 target;
    __u32 mask;
    __u64 nr;
    __u64 args[6];
    __s64 result;
};

struct lwc_trap {
    __s32 fd;
    __u32 mode;
    __u64 calls;
};

/* Only programs in C take threads along: here for its size. */

struct lwc_safepoint {
    __u32 flags;
    __u32 reserved;
    __u32 event;
    __s32 fd;
    __s32 caller;
    __u32 nargs;
    __u64 args[8];
};

int door_call(int door, unsigned long request, void *structure);
int door_create(int door, struct lwc_create *create);
