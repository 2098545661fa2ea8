//! Maps of one element that programs read where it lies, as they do with globals: the kernel puts its address into the
//! instruction, and nothing is looked up.
//!
//! Such a map is a section of the object, by whose name loaders know it: `.bss.` and the name of the static. It starts as
//! zeros.

use core::cell::UnsafeCell;

/// The element of a map. Put into a section of its own.
#[repr(transparent)]
pub(crate) struct Element<T>(UnsafeCell<T>);

// SAFETY: nobody gets a reference to what is inside, only its address.
unsafe impl<T> Sync for Element<T> {}

impl<T> Element<T> {
    /// The map's, whose bytes have to be zeros: an object has no room for others there.
    pub(crate) const fn new(zeros: T) -> Self {
        Self(UnsafeCell::new(zeros))
    }

    /// Where it lies. It is there as long as the program is, aligned to 8 bytes.
    #[inline(always)]
    pub(crate) const fn place(&self) -> *mut T {
        self.0.get()
    }
}
