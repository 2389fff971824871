"""The clinical risk score of Fong for colorectal liver metastases (clinical base 5.7)."""

from __future__ import annotations

from flr_volumetry.volumetry.formulas import _domain

DISEASE_FREE_MONTHS = 12.0
CEA_NG_PER_ML = 200.0
LARGEST_MM = 50.0


def fong_points(
    *,
    node_positive: bool | None,
    disease_free_months: float | None,
    lesions: int | None,
    cea_ng_per_ml: float | None,
    largest_mm: float | None,
) -> tuple[bool | None, ...]:
    """Return the five points of the clinical risk score of Fong, each given, not given, or unknown.

    Parameters
    ----------
    node_positive : bool or None
        Nodes of the primary tumour.
    disease_free_months : float or None
        From the primary tumour to the metastases; 0 if they were found together.
    lesions : int or None
        How many metastases the liver has.
    cea_ng_per_ml : float or None
        Carcinoembryonic antigen before the operation, ng/mL.
    largest_mm : float or None
        Longest diameter of the largest, mm.

    Returns
    -------
    tuple of bool or None
        In the order of the parameters: nodes, interval, number, CEA, size. The score lies between the
        number of True and that of True and None.

    Raises
    ------
    FormulaError
        If a number is negative.

    Notes
    -----
    One point each: node-positive primary, less than 12 months, more than one, CEA above 200 ng/mL, above
    5 cm. 0 to 2 low, 3 to 5 high. Fong et al., Ann Surg 1999;230:309 (FOUND). A positive margin and
    extrahepatic disease predict and give no points; not reliable before neoadjuvant chemotherapy.

    Examples
    --------
    >>> fong_points(
    ...     node_positive=True, disease_free_months=12, lesions=2, cea_ng_per_ml=None, largest_mm=51
    ... )
    (True, False, True, None, True)
    """
    known = {
        "disease_free_months": disease_free_months,
        "lesions": lesions,
        "cea_ng_per_ml": cea_ng_per_ml,
        "largest_mm": largest_mm,
    }
    for name, value in known.items():
        if value is not None:
            _domain.not_negative(value, name)
    return (
        node_positive,
        None if disease_free_months is None else disease_free_months < DISEASE_FREE_MONTHS,
        None if lesions is None else lesions > 1,
        None if cea_ng_per_ml is None else cea_ng_per_ml > CEA_NG_PER_ML,
        None if largest_mm is None else largest_mm > LARGEST_MM,
    )
