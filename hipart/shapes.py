"""Array types with shapes in them: ``Float[Tensor, "batch joints 2"]``.

They are jaxtyping's where that is installed (the tests check every call against them) and
plain ``Tensor`` where it is not, so that a model needs torch alone.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
else:
    try:
        from jaxtyping import Bool, Float, Int
    except ImportError:

        class _Unchecked:
            """Stand-in whose subscript is the array type itself."""

            def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
                return item[0]

        Bool = Float = Int = _Unchecked

__all__ = ["Bool", "Float", "Int"]
