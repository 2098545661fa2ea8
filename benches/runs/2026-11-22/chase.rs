// Dependent reads, one a cache line, through a random cycle, in pages of 4 KiB. Nanoseconds a read, median of 9 times.
use std::{arch::asm, time::Instant};
unsafe extern "C" { fn mmap(a: *mut u8, l: usize, p: i32, f: i32, fd: i32, o: i64) -> *mut u8; fn madvise(a: *mut u8, l: usize, v: i32) -> i32; fn sched_setaffinity(p: i32, l: usize, m: *const u64) -> i32; }
fn main() {
    let cpu = 2u64; unsafe { sched_setaffinity(0, 8, &cpu); }
    for kib in [128usize, 256, 512, 1024, 2048, 3072, 4096, 6144, 8192, 16384, 65536] {
        let lines = kib * 1024 / 64;
        let p = unsafe { mmap(std::ptr::null_mut(), kib * 1024, 3, 0x22, -1, 0) };
        unsafe { madvise(p, kib * 1024, 15); }
        let mut order: Vec<usize> = (0..lines).collect();
        let mut r = 88172645463325252u64;
        for i in (1..lines).rev() { r ^= r << 13; r ^= r >> 7; r ^= r << 17; order.swap(i, (r % (i as u64 + 1)) as usize); }
        for i in 0..lines { unsafe { *(p.add(order[i] * 64) as *mut usize) = p as usize + order[(i + 1) % lines] * 64; } }
        let mut q = p as usize;
        let n = 1 << 20;
        let mut go = || { let s = Instant::now(); for _ in 0..n { unsafe { asm!("mov {0}, [{0}]", inout(reg) q); } } s.elapsed().as_secs_f64() * 1e9 / n as f64 };
        go(); go();
        let mut t: Vec<f64> = (0..9).map(|_| go()).collect();
        t.sort_by(f64::total_cmp);
        println!("{kib:6} KiB  {:6.1}  [{:.1}, {:.1}]", t[4], t[1], t[7]);
    }
}
