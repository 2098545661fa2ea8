# Compares two pinned XDP programs, e.g. of two versions of geodrop attached to two interfaces: NAME=PIN NAME=PIN ...
# One packet again and again by BPF_PROG_TEST_RUN, 41 rounds by turns, nanoseconds of CPU time: verdict, median, least; the median
# difference from the first.
import ctypes, os, struct, sys, time, subprocess, statistics
libc = ctypes.CDLL(None, use_errno=True)
def bpf(cmd, attr):
    buf = ctypes.create_string_buffer(attr, len(attr))
    r = libc.syscall(321, cmd, buf, len(attr))
    if r < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r, buf.raw
def obj_get(path):
    p = ctypes.create_string_buffer(path.encode())
    return bpf(7, struct.pack('QII', ctypes.addressof(p), 0, 0))[0]
def test_run(fd, frame, repeat):
    d = ctypes.create_string_buffer(bytes(frame), len(frame))
    a = struct.pack('IIIIQQII', fd, 0, len(frame), 0, ctypes.addressof(d), 0, repeat, 0) + b'\0'*64
    t = time.thread_time_ns()
    _, raw = bpf(10, a)
    t = time.thread_time_ns() - t
    return struct.unpack_from('I', raw, 4)[0], t / repeat
def csum(h):
    s = sum(struct.unpack('>%dH' % (len(h)//2), h)); s = (s & 0xffff) + (s >> 16); s = (s & 0xffff) + (s >> 16)
    return (~s) & 0xffff
import socket
def v4(src):
    h = struct.pack('>BBHHHBBH4s4s', 0x45,0,32,0,0x4000,64,17,0,socket.inet_aton(src),socket.inet_aton('192.0.2.1'))
    h = h[:10]+struct.pack('>H',csum(h))+h[12:]
    return b'\2\0\0\0\0\2'+b'\2\0\0\0\0\1'+b'\x08\0'+h+struct.pack('>HHHH',49152,9,12,0)+b'abcd'
def v6(src):
    h = struct.pack('>IHBB16s16s', 0x60000000,12,17,64,socket.inet_pton(10,src),socket.inet_pton(10,'2001:db8::1'))
    return b'\2\0\0\0\0\2'+b'\2\0\0\0\0\1'+b'\x86\xdd'+h+struct.pack('>HHHH',49152,9,12,0)+b'abcd'
progs = dict(a.split('=',1) for a in sys.argv[1:])
fds = {k: obj_get(p) for k,p in progs.items()}
os.sched_setaffinity(0, {1})
for name, frame in [('v4 blocked',v4('1.0.1.1')),('v4 allowed',v4('8.8.8.8')),('v6 blocked',v6('2400:3200::1')),('v6 allowed',v6('2001:4860::8888'))]:
    rows = {k: [] for k in fds}; verdict = {}
    for r in range(41):
        ks = list(fds) if r % 2 else list(fds)[::-1]
        for k in ks:
            test_run(fds[k], frame, 1<<18)
            v, t = test_run(fds[k], frame, 1<<20); rows[k].append(t); verdict[k]=v
    base = list(fds)[0]
    print(name, {k: (verdict[k], round(statistics.median(v),2), round(min(v),2)) for k,v in rows.items()},
      'diff', {k: round(statistics.median([b-a for a,b in zip(rows[base],v)]),2) for k,v in rows.items()})
