//! A policy's rules, as maps hold them and globals say.
//!
//! Globals are set before a program is loaded: what they turn off is dead code to the verifier, and gone.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aya_ebpf::{
    Global,
    bindings::BPF_F_NO_PREALLOC,
    helpers::generated::bpf_ktime_get_boot_ns,
    macros::map,
    maps::{Array, HashMap},
};
use geodrop_common::{
    Action, Class, Entry, Frame, Rule, Rules, Table, class,
    class::Carried,
    control::{Control, Exception, ExceptionKey, MOST_EXCEPTIONS},
    judgement::carried,
    ports::{self, Protocol},
    reach::Reach,
    transport::IpHeader,
};

use crate::{apart::Apart, element::Element, far::Far, flows, lpm::LpmTries, multibit::Multibit};

/// The side table: what each class means, as [`Entry`] words; zero is [`Entry::PASS`]. Filled and frozen before the
/// program is loaded.
#[unsafe(link_section = ".bss.CLASSES")]
#[unsafe(no_mangle)]
static CLASSES: Element<[u64; class::CAPACITY]> = Element::new([0; class::CAPACITY]);

/// Which rule is for which port, as [`ports`] lays it out. The loader makes it as large as it needs, and freezes it.
#[map]
static PORTS: Array<u64> = Array::with_max_entries(1, 0);

/// What may change while the program runs.
#[unsafe(link_section = ".bss.CONTROL")]
#[unsafe(no_mangle)]
static CONTROL: Element<Control> = Element::new(Control {
    trial_until: 0,
    effective_from: 0,
    exceptions: 0,
});

/// What was decided for single addresses while the filter runs. Outlives the program, as counters do.
#[map]
static EXCEPTIONS: HashMap<ExceptionKey, Exception> =
    HashMap::with_max_entries(MOST_EXCEPTIONS, BPF_F_NO_PREALLOC);

/// Not 0: addresses are looked up in the kernel's LPM tries. 0: in the multibit tries. Set before the program is
/// loaded, so that the verifier removes the other engine's code.
#[unsafe(no_mangle)]
static LPM: Global<u8> = Global::new(0);

/// Not 0: some rules are for some ports only. Set before the program is loaded.
#[unsafe(no_mangle)]
static PORT_RULES: Global<u8> = Global::new(0);

/// Not 0: the rules take effect at an instant that [`CONTROL`] holds. Set before the program is loaded.
#[unsafe(no_mangle)]
static HELD_BACK: Global<u8> = Global::new(0);

/// Not 0: the program is on trial until an instant that [`CONTROL`] holds. Set before the program is loaded.
#[unsafe(no_mangle)]
static TRIAL: Global<u8> = Global::new(0);

/// Not 0: count what would be dropped, and drop nothing. Set before the program is loaded.
#[unsafe(no_mangle)]
static MONITOR: Global<u8> = Global::new(0);

/// Not 0: the engine is the multibit tries, and packets that the general rule is against are dropped from the beginning,
/// without an answer or a line in the log. Set before the program is loaded.
#[unsafe(no_mangle)]
static PLAIN: Global<u8> = Global::new(0);

/// Whether [`Plain`] are the rules: the policy has no others, and there are no exceptions to them.
#[inline(always)]
#[must_use]
pub fn are_plain() -> bool {
    PLAIN.load() != 0 && !are_exceptions()
}

/// The rules of a policy by which nothing but the source of a packet, and what this host has to do with it, decides. The same
/// as [`Policy`]'s, where [`are_plain`] says so, with nothing left to ask.
#[derive(Clone, Copy, Debug)]
pub struct Plain<P>(pub P);

impl<P: Far> Table for Plain<P> {
    #[inline(always)]
    fn ipv4(&self, address: Ipv4Addr) -> Class {
        Multibit.ipv4(address)
    }

    #[inline(always)]
    fn ipv6(&self, address: Ipv6Addr) -> Class {
        Multibit.ipv6(address)
    }
}

impl<P: Apart> Rules for Plain<P> {
    #[inline(always)]
    fn entry(&self, class: Class) -> Entry {
        entry(class)
    }

    #[inline(always)]
    fn is_reply<F: Frame + ?Sized>(&self, frame: &F, ip: IpHeader) -> bool {
        flows::answers(frame, self.0, ip)
    }
}

/// The rules of the policy that the loader chose, over tables of the engine that it chose; and what looks farther into
/// the packet that is to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Policy<P>(pub P);

impl<P: Far> Table for Policy<P> {
    #[inline(always)]
    fn ipv4(&self, address: Ipv4Addr) -> Class {
        if P::KEEPS_POINTERS {
            class_of_ipv4(address)
        } else {
            class_of_ipv4_apart(address)
        }
    }

    #[inline(always)]
    fn ipv6(&self, address: Ipv6Addr) -> Class {
        if P::KEEPS_POINTERS {
            class_of_ipv6(address)
        } else {
            class_of_ipv6_apart(address)
        }
    }
}

impl<P: Apart> Rules for Policy<P> {
    #[inline(always)]
    fn entry(&self, class: Class) -> Entry {
        if P::KEEPS_POINTERS {
            entry(class)
        } else {
            entry_apart(class)
        }
    }

    #[inline(always)]
    fn entry_of_carried(&self, address: Ipv6Addr, place: Carried) -> Entry {
        let address = carried(address, place).to_bits();
        Entry::from_word(if P::KEEPS_POINTERS {
            entry_of_carried(address)
        } else {
            entry_of_carried_apart(address)
        })
    }

    #[inline(always)]
    fn have_ports(&self) -> bool {
        P::SEES && PORT_RULES.load() != 0
    }

    #[inline(always)]
    fn reach<F: Frame + ?Sized>(&self, _frame: &F, ip: IpHeader) -> Reach {
        Reach::from_word(self.0.reach(ip))
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "a place among 16384 words")]
    fn of_port(&self, protocol: Protocol, port: u16) -> Rule {
        // Never `None` if there are rules for ports: the map has a word for every port.
        let word = PORTS.get(ports::word(protocol, port) as u32).copied();
        word.map_or(Rule::GENERAL, |word| ports::rule(word, port))
    }

    #[inline(always)]
    fn exception(&self, source: IpAddr) -> Option<Action> {
        if !are_exceptions() {
            return None;
        }
        exception(&match source {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        })
    }

    #[inline(always)]
    fn is_reply<F: Frame + ?Sized>(&self, frame: &F, ip: IpHeader) -> bool {
        flows::answers(frame, self.0, ip)
    }

    #[inline(always)]
    fn are_held_back(&self) -> bool {
        if HELD_BACK.load() == 0 {
            return false;
        }
        // SAFETY: the field is inside of the element.
        let instant = unsafe { &raw mut (*CONTROL.place()).effective_from };
        // SAFETY: the element lives as long as the map and is aligned to 8 bytes.
        unsafe { is_ahead(instant, boot_time) }
    }
}

#[inline(always)]
fn class_of_ipv4(address: Ipv4Addr) -> Class {
    if LPM.load() == 0 {
        Multibit.ipv4(address)
    } else {
        LpmTries.ipv4(address)
    }
}

#[inline(always)]
fn class_of_ipv6(address: Ipv6Addr) -> Class {
    if LPM.load() == 0 {
        Multibit.ipv6(address)
    } else {
        LpmTries.ipv6(address)
    }
}

/// The same by a function of its own: see [`Far::KEEPS_POINTERS`].
#[inline(always)]
fn class_of_ipv4_apart(address: Ipv4Addr) -> Class {
    #[inline(never)]
    fn number_of(address: u32) -> u16 {
        class_of_ipv4(Ipv4Addr::from_bits(address)).number()
    }
    Class::masked(number_of(address.to_bits()))
}

/// The same.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "each half by itself")]
fn class_of_ipv6_apart(address: Ipv6Addr) -> Class {
    #[inline(never)]
    fn number_of(high: u64, low: u64) -> u16 {
        let bits = (u128::from(high) << 64) | u128::from(low);
        class_of_ipv6(Ipv6Addr::from_bits(bits)).number()
    }
    let bits = address.to_bits();
    Class::masked(number_of((bits >> 64) as u64, bits as u64))
}

#[inline(always)]
fn entry(class: Class) -> Entry {
    let classes: *const u64 = CLASSES.place().cast();
    let word = classes.wrapping_add(class.number().into());
    // SAFETY: a class is below the capacity, and words are aligned to 8 bytes. The loader wrote them before the program was
    // there. Volatile, as the compiler takes it that nobody has.
    Entry::from_word(unsafe { word.read_volatile() })
}

/// The same by a global function, which the verifier takes for any class: without `CAP_PERFMON` it refuses a pointer that is
/// moved by a number known on one way there and by a variable on another.
#[inline(always)]
fn entry_apart(class: Class) -> Entry {
    #[unsafe(no_mangle)]
    #[inline(never)]
    extern "C" fn class_entry(number: u64) -> u64 {
        #[allow(clippy::cast_possible_truncation, reason = "a class is below 512")]
        entry(Class::masked(number as u16)).word()
    }
    Entry::from_word(class_entry(class.number().into()))
}

/// What the class of an IPv4 address means, as a word. A function of its own in the kernel, for few packets need it, and a
/// second lookup in the way of all others costs them some nanoseconds.
#[inline(never)]
fn entry_of_carried(address: u32) -> u64 {
    entry(class_of_ipv4(Ipv4Addr::from_bits(address))).word()
}

/// The same for loaders without `CAP_PERFMON`.
#[inline(never)]
fn entry_of_carried_apart(address: u32) -> u64 {
    entry_apart(class_of_ipv4(Ipv4Addr::from_bits(address))).word()
}

/// Whether nothing is to be dropped at all.
#[inline(always)]
#[must_use]
pub fn only_monitor() -> bool {
    MONITOR.load() != 0
}

/// Whether packets may pass that the rules are against: at all times, or until a day that was to come when the program
/// was loaded.
#[inline(always)]
#[must_use]
pub fn lets_all_pass() -> bool {
    only_monitor() || HELD_BACK.load() != 0
}

/// Whether there may be exceptions.
#[inline(always)]
fn are_exceptions() -> bool {
    // SAFETY: the field is inside of the element.
    let exceptions = unsafe { &raw const (*CONTROL.place()).exceptions };
    // SAFETY: it is aligned to 8 bytes, and whoever else writes it writes it whole.
    unsafe { exceptions.read_volatile() != 0 }
}

/// Whether a generation on trial is to give way to the one before it.
#[inline(always)]
#[must_use]
pub fn trial_is_over() -> bool {
    if TRIAL.load() == 0 {
        return false;
    }
    // SAFETY: the field is inside of the element.
    let until = unsafe { &raw const (*CONTROL.place()).trial_until };
    // SAFETY: it is aligned to 8 bytes, and whoever else writes it writes it whole.
    let until = unsafe { until.read_volatile() };
    until != 0 && boot_time() >= until
}

/// The exception for an address, if there is one that still holds.
#[inline(always)]
fn exception(key: &ExceptionKey) -> Option<Action> {
    // SAFETY: the element may be replaced while we read it; then we read some of the old and some of the new one, both
    // of which somebody decided for this address. Nothing in it can be out of bounds.
    let exception = unsafe { EXCEPTIONS.get(key) }?;
    (boot_time() < exception.until).then(|| exception.action())
}

/// Whether an instant of the boot-time clock is ahead. One that has come becomes zero, which is none: from then on nobody needs
/// the clock.
///
/// # Safety
///
/// The instant is in a map, and aligned to 8 bytes. The loader may write it meanwhile, and so may another CPU: it is read and
/// written whole.
#[inline(always)]
pub(crate) unsafe fn is_ahead(instant: *mut u64, now: impl FnOnce() -> u64) -> bool {
    // SAFETY: the caller vouches for it.
    let ahead = unsafe { instant.read_volatile() };
    if ahead == 0 {
        return false;
    }
    if now() < ahead {
        return true;
    }
    // SAFETY: the caller vouches for it.
    unsafe { instant.write_volatile(0) };
    false
}

/// Nanoseconds of the boot-time clock.
#[inline(always)]
pub(crate) fn boot_time() -> u64 {
    // SAFETY: the helper takes nothing and returns a number.
    unsafe { bpf_ktime_get_boot_ns() }
}
