/* libcuda on host memory, for machines without a GPU.

   What the engine uses of the driver keeps its order here: a stream is a queue of copies and calls
   that run no sooner than somebody waits for them, so that a forgotten wait shows as wrong numbers.
   New memory holds NaN. A thread without a current context is refused. A captured graph replays
   what was queued while it was captured. Everything else answers "not supported".
   HOST_CUDA_DEVICES=0 stands for a driver that finds no device. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK = 0, INVALID = 1, NO_DEVICE = 100, NO_CONTEXT = 201, NOT_READY = 600, IN_CAPTURE = 900 };
typedef unsigned long long Pointer;
typedef struct Stream Stream;
typedef struct Event {
    Stream *stream;
    long after; /* the stream's operations that were queued when it was recorded */
    struct timespec time;
} Event;
typedef struct Box { /* CUDA_MEMCPY3D */
    size_t src_x, src_y, src_z, src_lod;
    int src_type;
    const void *src_host;
    Pointer src_device;
    void *src_array, *reserved0;
    size_t src_pitch, src_height;
    size_t dst_x, dst_y, dst_z, dst_lod;
    int dst_type;
    void *dst_host;
    Pointer dst_device;
    void *dst_array, *reserved1;
    size_t dst_pitch, dst_height;
    size_t width, height, depth;
} Box;
typedef struct Op {
    struct Op *next;
    Box box;
    Stream *awaited; /* another stream, and how much of it */
    long after;
    void (*call)(void *);
    void *data;
} Op;
typedef struct Graph {
    Op *first, *last;
} Graph;
struct Stream {
    Graph queue;
    long queued, done;
    int busy;
    Graph *captured;
    Stream *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static Stream zero, *streams = &zero;
static __thread int contexts;
static int context;
int hostcuda = 1; /* tells it from a real driver */

#define IN_CONTEXT                                                                                 \
    if (!contexts) return NO_CONTEXT

static void append(Graph *g, Op op) {
    Op *o = malloc(sizeof op);
    *o = op;
    o->next = NULL;
    if (g->last) g->last->next = o;
    else g->first = o;
    g->last = o;
}

static int queue(Stream *s, Op op) {
    if (!contexts) return NO_CONTEXT;
    pthread_mutex_lock(&lock);
    s = s ? s : &zero;
    if (s->captured) append(s->captured, op);
    else append(&s->queue, op), s->queued++;
    pthread_mutex_unlock(&lock);
    return OK;
}

static void copy(const Box *b) {
    const char *src = b->src_type == 1 ? b->src_host : (const char *)b->src_device;
    char *dst = b->dst_type == 1 ? b->dst_host : (char *)b->dst_device;
    for (size_t z = 0; z < b->depth; z++)
        for (size_t y = 0; y < b->height; y++)
            memmove(dst + ((b->dst_z + z) * b->dst_height + b->dst_y + y) * b->dst_pitch + b->dst_x,
                    src + ((b->src_z + z) * b->src_height + b->src_y + y) * b->src_pitch + b->src_x,
                    b->width);
}

static void run(Stream *s, long until) { /* with the lock; calls run without it */
    while (s->done < until) {
        if (s->busy) {
            pthread_cond_wait(&moved, &lock);
            continue;
        }
        s->busy = 1;
        Op *o = s->queue.first;
        if (o->awaited) run(o->awaited, o->after);
        else if (o->call) {
            pthread_mutex_unlock(&lock);
            o->call(o->data);
            pthread_mutex_lock(&lock);
        } else copy(&o->box);
        s->queue.first = o->next;
        if (!o->next) s->queue.last = NULL;
        free(o);
        s->done++;
        s->busy = 0;
        pthread_cond_broadcast(&moved);
    }
}

static int wait_for(Stream *s, long until) {
    pthread_mutex_lock(&lock);
    int captured = s->captured != NULL;
    if (!captured) run(s, until < 0 ? s->queued : until);
    pthread_mutex_unlock(&lock);
    return captured ? IN_CAPTURE : OK;
}

static int wait_for_all(void) {
    pthread_mutex_lock(&lock);
    for (Stream *s = streams; s; s = s->next) run(s, s->queued);
    pthread_mutex_unlock(&lock);
    return OK;
}

static Op flat(void *dst, const void *src, size_t n) {
    Op op = {0};
    op.box.src_type = op.box.dst_type = 1;
    op.box.src_host = src;
    op.box.dst_host = dst;
    op.box.width = op.box.src_pitch = op.box.dst_pitch = n;
    op.box.height = op.box.depth = 1;
    return op;
}

int cuInit(unsigned flags) {
    const char *devices = getenv("HOST_CUDA_DEVICES");
    return devices && *devices == '0' ? NO_DEVICE : OK;
}
int cuDriverGetVersion(int *v) { return *v = 13000, OK; }
int cuDeviceGetCount(int *n) { return *n = 1, OK; }
int cuDeviceGet(int *d, int ordinal) { return *d = 0, ordinal ? 101 : OK; }
int cuDeviceGetName(char *name, int n, int d) { return strncpy(name, "host memory", n), OK; }
int cuDeviceTotalMem_v2(size_t *n, int d) { return *n = 1ull << 30, OK; }
int cuDeviceGetAttribute(int *v, int a, int d) { return *v = a == 75 ? 8 : a == 76 ? 9 : 1, OK; }
int cuDeviceComputeCapability(int *a, int *b, int d) { return *a = 8, *b = 9, OK; }
int cuDevicePrimaryCtxRetain(void **c, int d) { return *c = &context, OK; }
int cuDevicePrimaryCtxRelease_v2(int d) { return OK; }
int cuCtxCreate_v4(void **c, void *p, unsigned f, int d) { return contexts++, *c = &context, OK; }
int cuCtxDestroy_v2(void *c) { return OK; }
int cuCtxDetach(void *c) { return OK; }
int cuCtxPushCurrent_v2(void *c) { return contexts++, OK; }
int cuCtxPopCurrent_v2(void **c) {
    IN_CONTEXT;
    contexts--;
    if (c) *c = &context;
    return OK;
}
int cuCtxGetDevice(int *d) {
    IN_CONTEXT;
    return *d = 0, OK;
}
int cuCtxGetApiVersion(void *c, unsigned *v) { return *v = 3020, OK; }
int cuCtxSynchronize(void) {
    IN_CONTEXT;
    return wait_for_all();
}
int cuMemAlloc_v2(Pointer *p, size_t n) {
    IN_CONTEXT;
    *p = (Pointer)malloc(n);
    if (!*p) return 2;
    return memset((void *)*p, 0xff, n), OK;
}
int cuMemFree_v2(Pointer p) {
    IN_CONTEXT;
    wait_for_all();
    return free((void *)p), OK;
}
int cuMemHostAlloc(void **p, size_t n, unsigned flags) {
    IN_CONTEXT;
    return *p = calloc(1, n), OK;
}
int cuMemFreeHost(void *p) { return wait_for_all(), free(p), OK; }
int cuMemGetInfo_v2(size_t *unused, size_t *total) { return *unused = *total = 1ull << 30, OK; }
int cuMemcpyHtoDAsync_v2(Pointer d, const void *s, size_t n, Stream *stream) {
    return queue(stream, flat((void *)d, s, n));
}
int cuMemcpyDtoHAsync_v2(void *d, Pointer s, size_t n, Stream *stream) {
    return queue(stream, flat(d, (void *)s, n));
}
int cuMemcpyDtoDAsync_v2(Pointer d, Pointer s, size_t n, Stream *stream) {
    return queue(stream, flat((void *)d, (void *)s, n));
}
int cuMemcpy3DAsync_v2(const Box *box, Stream *stream) {
    Op op = {0};
    op.box = *box;
    return queue(stream, op);
}
int cuLaunchHostFunc(Stream *stream, void (*call)(void *), void *data) {
    Op op = {0};
    op.call = call;
    op.data = data;
    return queue(stream, op);
}
int cuStreamCreate(Stream **s, unsigned flags) {
    IN_CONTEXT;
    *s = calloc(1, sizeof **s);
    pthread_mutex_lock(&lock);
    (*s)->next = zero.next;
    zero.next = *s;
    pthread_mutex_unlock(&lock);
    return OK;
}
int cuStreamDestroy_v2(Stream *s) { return wait_for(s, -1); } /* kept: events may still name it */
int cuStreamSynchronize(Stream *s) {
    IN_CONTEXT;
    return wait_for(s ? s : &zero, -1);
}
int cuStreamQuery(Stream *s) { return s->done < s->queued ? NOT_READY : OK; }
int cuStreamWaitEvent(Stream *s, Event *e, unsigned flags) {
    Op op = {0};
    if (!e->stream) return OK; /* never recorded */
    op.awaited = e->stream;
    op.after = e->after;
    return queue(s, op);
}
int cuEventCreate(Event **e, unsigned flags) {
    IN_CONTEXT;
    return *e = calloc(1, sizeof **e), OK;
}
int cuEventDestroy_v2(Event *e) { return free(e), OK; }
int cuEventRecord(Event *e, Stream *s) {
    IN_CONTEXT;
    pthread_mutex_lock(&lock);
    e->stream = s ? s : &zero;
    e->after = e->stream->queued;
    clock_gettime(CLOCK_MONOTONIC, &e->time);
    pthread_mutex_unlock(&lock);
    return OK;
}
int cuEventSynchronize(Event *e) { return e->stream ? wait_for(e->stream, e->after) : OK; }
int cuEventQuery(Event *e) { return e->stream && e->stream->done < e->after ? NOT_READY : OK; }
int cuEventElapsedTime_v2(float *ms, Event *a, Event *b) {
    *ms = (b->time.tv_sec - a->time.tv_sec) * 1e3 + (b->time.tv_nsec - a->time.tv_nsec) / 1e6;
    return OK;
}
int cuStreamBeginCapture_v2(Stream *s, int mode) {
    IN_CONTEXT;
    if (s->captured) return IN_CAPTURE;
    return s->captured = calloc(1, sizeof(Graph)), OK;
}
int cuStreamEndCapture(Stream *s, Graph **g) {
    if (!s->captured) return INVALID;
    *g = s->captured;
    return s->captured = NULL, OK;
}
int cuGraphInstantiateWithFlags(Graph **exec, Graph *g, unsigned long long flags) {
    *exec = calloc(1, sizeof **exec);
    for (Op *o = g->first; o; o = o->next) append(*exec, *o);
    return OK;
}
int cuGraphLaunch(Graph *g, Stream *s) {
    for (Op *o = g->first; o; o = o->next) {
        int status = queue(s, *o);
        if (status) return status;
    }
    return OK;
}
int cuGraphDestroy(Graph *g) { return free(g), OK; }
int cuGraphExecDestroy(Graph *g) { return free(g), OK; }
int cuGetErrorString(int e, const char **s) {
    *s = e == NO_DEVICE    ? "no CUDA-capable device is detected"
         : e == NO_CONTEXT ? "invalid device context"
         : e == IN_CAPTURE ? "operation not permitted when stream is capturing"
                           : "not supported on host memory";
    return OK;
}
int cuGetErrorName(int e, const char **s) { return *s = "CUDA_ERROR", OK; }
