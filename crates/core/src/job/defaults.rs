//! What the stored forms leave out.

/// Whether `value` is its type's default, which serde then leaves out.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
